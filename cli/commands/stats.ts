import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { type Container, isRunning } from '#runner/containers/state.ts'
import type { Usage } from '#runner/verbs/stats.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { formatSize } from '../output/format.ts'
import { print } from '../output/print.ts'
import { printRows, type Row } from '../output/rows.ts'
import { count, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface StatsOptions extends StoreOptions {
  readonly all?: true
  readonly stream: boolean
  readonly trunc: boolean
  readonly interval: number
  readonly format?: string
}

/** Long enough to tell a share of a CPU from. */
const FIRST_MS = 200

/** Of a container that doesn't run. */
const NOTHING: Usage = {
  atMs: 0,
  cpuNs: 0,
  memory: 0,
  memoryLimit: 0,
  blockRead: 0,
  blockWritten: 0,
  networkIn: 0,
  networkOut: 0,
  pids: 0,
}

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
    .description('Show what containers use, again and again')
    .argument('[container...]', 'names or ids; default: all that run')
    .option('-a, --all', 'also those that do not run')
    .option('--no-stream', 'only once')
    .option('-i, --interval <seconds>', 'how long to wait in between', count, 1)
    .option('--no-trunc', 'print ids whole')
    .option('--format <format>', "table, json, or a Go template: '{{.Name}} {{.MemUsage}}'")
  return withExamples(withStoreOptions(command), [
    ['dray stats --no-stream', 'all that run, once'],
    ['dray stats web db', 'two of them, until Ctrl-C'],
  ]).action(stats)
}

async function stats(references: readonly string[], options: StatsOptions): Promise<void> {
  const { root } = runnerContext(options)
  let before = await read(root, references, options)
  await delay(FIRST_MS)
  for (;;) {
    const after = await read(root, references, options)
    const { cpuPercent } = await import('#runner/verbs/stats.ts')
    const rows = [...after].map(([id, { container, usage }]) =>
      rowOf(container, usage, {
        cpu: cpuPercent(before.get(id)?.usage ?? usage, usage),
        whole: !options.trunc,
      }),
    )
    if (options.stream && process.stdout.isTTY) print('\x1b[H\x1b[2J')
    printRows(rows, { format: options.format, columns: COLUMNS })
    if (!options.stream) return
    before = after
    await delay(options.interval * 1000)
  }
}

async function read(
  root: string,
  references: readonly string[],
  { all }: StatsOptions,
): Promise<Map<string, { container: Container; usage: Usage }>> {
  const { containerUsage } = await import('#runner/verbs/stats.ts')
  const { listSeen } = await import('#runner/verbs/list.ts')
  if (references.length > 0) {
    const named = await Promise.all(references.map((reference) => openContainer(root, reference)))
    return new Map(
      named.map((container) => [container.id, { container, usage: containerUsage(container) }]),
    )
  }
  return new Map(
    (await listSeen(root, { all })).map(({ container, state }) => [
      container.id,
      { container, usage: isRunning(state) ? containerUsage(container) : NOTHING },
    ]),
  )
}

function rowOf(
  { id, record }: Container,
  usage: Usage,
  { cpu, whole }: { readonly cpu: number; readonly whole: boolean },
): Row {
  const shown = whole ? id : id.slice(0, 12)
  return {
    ID: shown,
    Container: shown,
    Name: record.name,
    CPUPerc: `${cpu.toFixed(2)}%`,
    MemUsage: `${formatSize(usage.memory)} / ${formatSize(usage.memoryLimit)}`,
    MemPerc: `${((usage.memory / (usage.memoryLimit || 1)) * 100).toFixed(2)}%`,
    NetIO: `${formatSize(usage.networkIn)} / ${formatSize(usage.networkOut)}`,
    BlockIO: `${formatSize(usage.blockRead)} / ${formatSize(usage.blockWritten)}`,
    PIDs: usage.pids,
  }
}
