import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { Container } from '#runner/containers/state.ts'
import type { Usage } from '#runner/verbs/stats.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { formatSize } from '../output/format.ts'
import { print } from '../output/print.ts'
import { printRows, type Row } from '../output/rows.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface StatsOptions extends StoreOptions {
  readonly all?: true
  readonly stream: boolean
  readonly format?: string
}

const EVERY_MS = 1000
/** Long enough to tell a share of a CPU from. */
const FIRST_MS = 200

const COLUMNS = [
  ['CONTAINER ID', 'ID'],
  ['NAME', 'Name'],
  ['CPU %', 'CPUPerc'],
  ['MEM USAGE / LIMIT', 'MemUsage'],
  ['MEM %', 'MemPerc'],
  ['NET I/O', 'NetIO'],
  ['BLOCK I/O', 'BlockIO'],
  ['PIDS', 'PIDs'],
] as const

export function statsCommand(): Command {
  const command = new Command('stats')
    .description('Show what containers use, once a second')
    .argument('[container...]', 'names or ids; default: all that run')
    .option('--no-stream', 'only once')
    .option('--format <format>', "table, json, or a Go template: '{{.Name}} {{.MemUsage}}'")
  return withExamples(withStoreOptions(command), [
    ['dray stats --no-stream', 'all that run, once'],
    ['dray stats web db', 'two of them, until Ctrl-C'],
  ]).action(stats)
}

async function stats(references: readonly string[], options: StatsOptions): Promise<void> {
  const { root } = runnerContext(options)
  let before = await read(root, references)
  await delay(FIRST_MS)
  for (;;) {
    const after = await read(root, references)
    const { cpuPercent } = await import('#runner/verbs/stats.ts')
    const rows = [...after].map(([id, { container, usage }]) =>
      rowOf(container, usage, cpuPercent(before.get(id)?.usage ?? usage, usage)),
    )
    if (options.stream && process.stdout.isTTY) print('\x1b[H\x1b[2J')
    printRows(rows, { format: options.format, columns: COLUMNS })
    if (!options.stream) return
    before = after
    await delay(EVERY_MS)
  }
}

async function read(
  root: string,
  references: readonly string[],
): Promise<Map<string, { container: Container; usage: Usage }>> {
  const { containerUsage } = await import('#runner/verbs/stats.ts')
  const { listSeen } = await import('#runner/verbs/list.ts')
  const containers =
    references.length > 0
      ? await Promise.all(references.map((reference) => openContainer(root, reference)))
      : (await listSeen(root)).map(({ container }) => container)
  return new Map(
    containers.map((container) => [container.id, { container, usage: containerUsage(container) }]),
  )
}

function rowOf({ id, record }: Container, usage: Usage, cpu: number): Row {
  return {
    ID: id.slice(0, 12),
    Container: id.slice(0, 12),
    Name: record.name,
    CPUPerc: `${cpu.toFixed(2)}%`,
    MemUsage: `${formatSize(usage.memory)} / ${formatSize(usage.memoryLimit)}`,
    MemPerc: `${((usage.memory / usage.memoryLimit) * 100).toFixed(2)}%`,
    NetIO: `${formatSize(usage.networkIn)} / ${formatSize(usage.networkOut)}`,
    BlockIO: `${formatSize(usage.blockRead)} / ${formatSize(usage.blockWritten)}`,
    PIDs: usage.pids,
  }
}
