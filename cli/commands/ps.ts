import { Command, InvalidArgumentError } from 'commander'
import { errorMessage } from '#oci/error.ts'
import { runnerContext } from '../containers.ts'
import { containerRow } from '../output/container-row.ts'
import { formatSize } from '../output/format.ts'
import { say } from '../output/print.ts'
import { printRows } from '../output/rows.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface PsOptions extends StoreOptions {
  readonly all?: true
  readonly quiet?: true
  readonly trunc: boolean
  readonly size?: true
  readonly latest?: true
  readonly last?: number
  readonly filter: readonly string[]
  readonly format?: string
}

const COLUMNS = [
  ['CONTAINER ID', 'ID'],
  ['IMAGE', 'Image'],
  ['COMMAND', 'Command'],
  ['CREATED', 'RunningFor'],
  ['STATUS', 'Status'],
  ['PORTS', 'Ports'],
  ['NAMES', 'Names'],
] as const

export function psCommand(): Command {
  const command = new Command('ps')
    .description('List containers that run')
    .option('-a, --all', 'also those that do not')
    .option('-q, --quiet', 'print ids only')
    .option('--no-trunc', 'print ids and commands whole')
    .option('-s, --size', 'also what they wrote beside their volumes, on the disk')
    .option('-l, --latest', 'only the latest one, running or not')
    .option('-n, --last <number>', 'only the latest ones, running or not', number)
    .option(
      '-f, --filter <key=value>',
      'id, name, label, status, health, exited, ancestor, before, since, volume, network (repeatable)',
      collect,
      [],
    )
    .option(
      '--format <format>',
      "table, json (one object a line), or a Go template: '{{.Names}} {{.Status}}'",
    )
  return withExamples(withStoreOptions(command), [
    ['dray ps -a', 'all of them'],
    ['dray ps -aq --filter status=exited', 'ids of those that have ended'],
    ["dray ps --format 'table {{.Names}}\\t{{.Status}}'", 'two columns'],
  ]).action(ps)
}

async function ps(options: PsOptions): Promise<void> {
  const { listSeen } = await import('#runner/verbs/list.ts')
  const { root } = runnerContext(options)
  const seen = await listSeen(root, {
    all: options.all,
    filters: options.filter,
    last: options.latest ? 1 : options.last,
    onTrouble: (error) => say(`dray: ${errorMessage(error)}`),
  })
  const rows = seen.map((each) => containerRow(each, { whole: !options.trunc, now: Date.now() }))
  const format = options.quiet ? '{{.ID}}' : options.format
  if (!options.size) return printRows(rows, { format, columns: COLUMNS })
  const { sizeWritten } = await import('#runner/disk-usage.ts')
  const sizes = await Promise.all(seen.map(({ container }) => sizeWritten(container)))
  const sized = rows.map((row, at) => ({ ...row, Size: formatSize(sizes[at] ?? 0) }))
  printRows(sized, { format, columns: [...COLUMNS, ['SIZE', 'Size']] })
}

function number(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('write a number')
}
