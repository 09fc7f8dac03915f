/**
 * Compares `dray run` with podman and docker, all with runc, the same small image and no network, in turn in one run: how long
 * `run --rm IMAGE true` takes, and each of 50 `run -d` in a row; then what an idle detached container holds in memory, the
 * processes that watch it included. Prints medians, and the ratios of Dray to the others.
 *
 *     node bench/run.ts [--rounds 15] [--detached 50] [--dir DIR]
 *
 * Needs root, podman, docker, conmon, runc and busybox-static, and a build (npm run build).
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '#cli/output/format.ts'
import { makeBusyboxTree } from '../test/runner/support/busybox.ts'
import { startDockerd } from '../test/support/daemons.ts'
import { LAUNCHER } from '../test/support/dray.ts'
import { run } from './support/fresh-disk.ts'
import { median } from './support/median.ts'
import { memoryOf } from './support/process-tree.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    detached: { type: 'string', default: '50' },
    dir: { type: 'string', default: tmpdir() },
  },
})
const rounds = Number(values.rounds)
const detached = Number(values.detached)
const IMAGE = 'localhost/bench:1'

/** A program's words up to the verb. */
type Tool = readonly string[]

interface Figures {
  readonly runMs: number
  readonly detachedMs: number
  readonly memory: string
}

function podmanIn(dir: string): Tool {
  const conf = join(dir, 'containers.conf')
  // podman's own limit of open files is above what a machine may allow.
  writeFileSync(conf, '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
  process.env.CONTAINERS_CONF = conf
  const stores = ['--root', join(dir, 'podman'), '--runroot', join(dir, 'podman-run')]
  return ['podman', ...stores, '--runtime', 'runc', '--cgroup-manager', 'cgroupfs']
}

function timed(work: () => void): number {
  const started = performance.now()
  work()
  return performance.now() - started
}

/** Bytes of the processes that name a container's id or belong to it, with shared pages divided among those that share them. */
function memoryOfContainer(id: string): string {
  const found = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && belongs(pid, id))
  const parts = found.map((pid) => {
    const name = readFileSync(`/proc/${pid}/comm`, 'latin1').trim()
    return { name, pss: memoryOf(Number(pid)).pss }
  })
  const sum = parts.reduce((total, { pss }) => total + pss, 0)
  const names = parts.map(({ name, pss }) => `${name} ${MiB(pss)}`).join(', ')
  return `${MiB(sum)} (${names})`
}

function belongs(pid: string, id: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
    return words.includes(id) || readFileSync(`/proc/${pid}/cgroup`, 'latin1').includes(id)
  } catch {
    return false
  }
}

const MiB = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

async function compare(dir: string): Promise<Readonly<Record<string, Figures>>> {
  const tree = makeBusyboxTree(join(dir, 'tree'))
  const tar = join(dir, 'tree.tar')
  run(['tar', '-C', tree, '-cf', tar, '.'])
  process.env.DRAY_ROOT = join(dir, 'dray')
  const docker = await startDockerd(join(dir, 'd'), { storageDriver: 'overlay2' })
  const tools: Readonly<Record<string, Tool>> = {
    dray: [LAUNCHER],
    podman: podmanIn(dir),
    docker: ['docker', '-H', `unix://${docker.socket}`],
  }
  try {
    run([LAUNCHER, 'import', tree, IMAGE])
    for (const name of ['podman', 'docker']) run([...(tools[name] ?? []), 'import', tar, IMAGE])
    return figuresOf(tools)
  } finally {
    for (const tool of Object.values(tools)) removeAll(tool)
    await docker.stop()
    // podman may keep its store mounted on itself.
    spawnSync('umount', [join(dir, 'podman/overlay')])
  }
}

function figuresOf(tools: Readonly<Record<string, Tool>>): Record<string, Figures> {
  const runs = new Map(Object.keys(tools).map((name) => [name, [] as number[]]))
  for (let round = -1; round < rounds; round++) {
    for (const [name, tool] of Object.entries(tools)) {
      const ms = timed(() => run([...tool, 'run', '--rm', '--network', 'none', IMAGE, 'true']))
      if (round >= 0) runs.get(name)?.push(ms) // The first one reads programs from the disk.
    }
  }
  const entries = Object.entries(tools).map(([name, tool]) => {
    const words = [...tool, 'run', '-d', '--network', 'none', IMAGE, 'sleep', '1000']
    const each = Array.from({ length: detached }, () => timed(() => run(words)))
    const [program = '', ...args] = [...tool, 'ps', '-q', '--no-trunc']
    const [id = ''] = execFileSync(program, args, { encoding: 'utf8' }).split('\n')
    const figures = {
      runMs: median(runs.get(name) ?? []),
      detachedMs: median(each),
      memory: memoryOfContainer(id),
    }
    removeAll(tool)
    return [name, figures] as const
  })
  return Object.fromEntries(entries)
}

function removeAll([program = '', ...args]: Tool): void {
  const ids = execFileSync(program, [...args, 'ps', '-aq'], { encoding: 'utf8' }).split('\n')
  const known = ids.filter(Boolean)
  if (known.length > 0) run([program, ...args, 'rm', '-f', ...known])
}

const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
try {
  const figures = await compare(dir)
  const base = figures.dray
  const ratio = (ours: number | undefined, theirs: number) => ((ours ?? 0) / theirs).toFixed(2)
  const rows = Object.entries(figures).map(([name, { runMs, detachedMs, memory }]) => [
    ...[name, `${runMs.toFixed(0)} ms`, ratio(base?.runMs, runMs)],
    ...[`${detachedMs.toFixed(0)} ms`, ratio(base?.detachedMs, detachedMs), memory],
  ])
  const head = ['', 'run --rm', 'dray to it', 'run -d', 'dray to it', 'idle']
  console.log(formatTable([head, ...rows]))
} finally {
  rmSync(dir, { recursive: true, force: true })
}
