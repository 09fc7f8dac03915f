import { Command, InvalidArgumentError, Option } from 'commander'
import type { Seen } from '#runner/containers/filter.ts'
import { errorMessage } from '#oci/error.ts'
import { runnerContext } from '../containers.ts'
import { containerRow } from '../output/container-row.ts'
import { formatSize } from '../output/format.ts'
import { say } from '../output/print.ts'
import { printRows, type Row } from '../output/rows.ts'
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
  readonly sort?: SortKey
}

const SORT_KEYS = [
  'command',
  'created',
  'id',
  'image',
  'names',
  'runningfor',
  'size',
  'status',
] as const
type SortKey = (typeof SORT_KEYS)[number]

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
    .addOption(
      new Option('--sort <what>', 'in this order (default: the latest first)').choices(SORT_KEYS),
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
  const look = { whole: !options.trunc, now: Date.now() }
  const isSized = options.size || options.sort === 'size'
  const listed = await Promise.all(
    seen.map(async (each) => ({
      each,
      row: containerRow(each, look),
      size: isSized ? await sizeOf(each) : 0,
    })),
  )
  if (options.sort !== undefined) listed.sort(by(options.sort))
  const format = options.quiet ? '{{.ID}}' : options.format
  if (!options.size)
    return printRows(
      listed.map(({ row }) => row),
      { format, columns: COLUMNS },
    )
  const sized = listed.map(({ row, size }) => ({ ...row, Size: formatSize(size) }))
  printRows(sized, { format, columns: [...COLUMNS, ['SIZE', 'Size']] })
}

async function sizeOf({ container }: Seen): Promise<number> {
  const { sizeWritten } = await import('#runner/disk-usage.ts')
  return await sizeWritten(container)
}

interface Listed {
  readonly each: Seen
  readonly row: Row
  readonly size: number
}

/** As podman has it: what was made first is first, and what has run the longest. */
function by(key: SortKey): (a: Listed, b: Listed) => number {
  const facts: Record<SortKey, (listed: Listed) => string | number> = {
    command: ({ row }) => String(row.Command),
    created: ({ row }) => String(row.CreatedAt),
    id: ({ row }) => String(row.ID),
    image: ({ row }) => String(row.Image),
    names: ({ row }) => String(row.Names),
    runningfor: ({ each }) => each.state.startedAt ?? '',
    size: ({ size }) => size,
    status: ({ row }) => String(row.State),
  }
  const fact = facts[key]
  return (a, b) => {
    const [first, second] = [fact(a), fact(b)]
    return first < second ? -1 : first > second ? 1 : 0
  }
}

function number(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('write a number')
}
