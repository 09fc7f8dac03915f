/**
 * Pulls images from a registry, by Dray and by its peers in turn, in another order each round, each time into an empty store on a
 * fresh ext4, and prints medians, ratios and peak memory.
 *
 *     node bench/pull.ts [--setting loopback] [--rounds 5] [--dir DIR] [--prefix 'chroot DIR'] LAYOUT[:NAME]...
 *
 * LAYOUT is an OCI image layout. Needs root. Peers are taken where they are found: skopeo, crane and oras (to an OCI
 * layout), containerd and podman (unpacked). `--prefix` runs them in another root, in which DIR must be visible too, with
 * what will be mounted there.
 *
 * The settings: `loopback`; `link`, 1 Gbit/s that is 20 ms away, made by a proxy (bench/shaper.ts) that takes its share of the CPU
 * from everyone alike; `per-connection`, 80 MB/s for each connection, as S3 gives, made by the kernel (bench/support/pacing.ts).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '#cli/output/format.ts'
import { clientOf, startContainerd } from '../test/support/containerd.ts'
import { onFreshDisk, run } from './support/fresh-disk.ts'
import { parseLayout } from './support/layout.ts'
import { median } from './support/median.ts'
import { peakMemory } from './support/peak-memory.ts'

const DRAY = join(import.meta.dirname, '../bin/dray')

// Where it is set, Node reads these certificates at each start: 0.1 s that have nothing to do with pulling.
delete process.env.NODE_EXTRA_CA_CERTS

/** How the way from the registry is made slower. */
interface Shaping {
  /** What the proxy between registry and clients is told. */
  readonly proxy?: readonly string[]
  /** Bytes a second on each connection. */
  readonly connectionRate?: number
}

const SETTINGS: Readonly<Record<string, Shaping | undefined>> = {
  loopback: {},
  link: { proxy: ['--delay', '10', '--rate', '125000000'] },
  'per-connection': { connectionRate: 80_000_000 },
}

/** A process that does a contender's work. */
interface Daemon {
  readonly pid: number
  end(): Promise<void>
}

interface Sample {
  readonly ms: number
  /** Peak memory of the process that does the work, in bytes. */
  readonly memory: number
}

interface Contender {
  readonly name: string
  /** The program that must be there. */
  readonly program: string
  /** What it makes: only those of one form are compared. */
  readonly form: 'unpacked' | 'layout'
  /** Starts what must run before the clock does. */
  prepare?(dir: string): Promise<Daemon>
  /** The command that is timed. `dir` is empty and on a file system of its own. */
  pull(image: string, dir: string): readonly string[]
}

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    setting: { type: 'string', default: 'loopback' },
    dir: { type: 'string', default: tmpdir() },
    prefix: { type: 'string', default: '' },
  },
  allowPositionals: true,
})
const prefix = values.prefix.split(' ').filter((word) => word !== '')
const rounds = Number(values.rounds)
const shaping = SETTINGS[values.setting]
if (positionals.length === 0 || !(rounds > 0) || shaping === undefined) {
  console.error(
    `usage: node bench/pull.ts [--setting ${Object.keys(SETTINGS).join('|')}] [--rounds N] [--dir DIR] [--prefix COMMAND] LAYOUT[:NAME]...`,
  )
  process.exit(2)
}

const CONTENDERS: readonly Contender[] = [
  {
    name: 'dray',
    form: 'unpacked',
    program: DRAY,
    pull: (image, dir) => [DRAY, 'pull', '-q', '--root', join(dir, 'store'), image],
  },
  {
    name: 'dray --layer-store dir',
    form: 'unpacked',
    program: DRAY,
    pull: (image, dir) => [
      ...[DRAY, 'pull', '-q', '--layer-store', 'dir', '--root', join(dir, 'store'), image],
    ],
  },
  {
    name: 'containerd',
    form: 'unpacked',
    program: 'ctr',
    prepare: (dir) => startContainerd(dir, prefix),
    pull: (image, dir) => [...clientOf(dir, prefix), 'images', 'pull', '--plain-http', image],
  },
  {
    name: 'podman',
    form: 'unpacked',
    program: 'podman',
    pull: (image, dir) => [
      ...prefix,
      'podman',
      `--root=${join(dir, 'root')}`,
      `--runroot=${join(dir, 'run')}`,
      '--storage-driver=overlay',
      'pull',
      '-q',
      '--tls-verify=false',
      image,
    ],
  },
  {
    name: 'dray --no-unpack',
    form: 'layout',
    program: DRAY,
    pull: (image, dir) => [DRAY, 'pull', '-q', '--no-unpack', '--root', join(dir, 'store'), image],
  },
  {
    name: 'skopeo',
    form: 'layout',
    program: 'skopeo',
    pull: (image, dir) => [
      ...prefix,
      'skopeo',
      '--insecure-policy',
      'copy',
      '-q',
      '--src-tls-verify=false',
      `docker://${image}`,
      `oci:${join(dir, 'layout')}:x`,
    ],
  },
  {
    name: 'oras',
    form: 'layout',
    program: 'oras',
    pull: (image, dir) => [
      ...prefix,
      'oras',
      'copy',
      '--from-plain-http',
      '--to-oci-layout',
      image,
      `${join(dir, 'layout')}:x`,
    ],
  },
  {
    name: 'crane',
    form: 'layout',
    program: 'crane',
    pull: (image, dir) => [
      ...prefix,
      'crane',
      'pull',
      '--insecure',
      '--format=oci',
      image,
      join(dir, 'layout'),
    ],
  },
]

/** Runs a command to its end. */
async function measure(
  [program = '', ...args]: readonly string[],
  daemon?: Daemon,
): Promise<Sample> {
  const started = performance.now()
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  let memory = 0
  const pid = daemon?.pid ?? child.pid ?? 0
  const watch = setInterval(() => {
    memory = Math.max(memory, peakMemory(pid))
  }, 20)
  const [code] = await once(child, 'exit')
  const ms = performance.now() - started
  clearInterval(watch)
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${said}`)
  return { ms, memory: Math.max(memory, peakMemory(pid)) }
}

function works(command: readonly string[]): boolean {
  try {
    run(command)
    return true
  } catch {
    return false
  }
}

async function timePull(contender: Contender, image: string, dir: string): Promise<Sample> {
  return await onFreshDisk(dir, async (mount) => {
    const daemon = await contender.prepare?.(mount)
    try {
      return await measure(contender.pull(image, mount), daemon)
    } finally {
      await daemon?.end()
    }
  })
}

async function startRegistry(
  dir: string,
  { connectionRate }: Shaping,
): Promise<{ host: string; end(): void }> {
  const paced = connectionRate !== undefined && {
    NODE_OPTIONS: `--import=${join(import.meta.dirname, 'support/pacing.ts')}`,
    PACE: String(connectionRate),
  }
  const child = spawn(
    DRAY,
    ['serve', '--listen', '127.0.0.1:0', '--data', join(dir, 'registry'), '--log-level', 'silent'],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...paced } },
  )
  for await (const chunk of child.stderr) {
    const host = /listening on http:\/\/([^\s,]+)/.exec(String(chunk))?.[1]
    if (host !== undefined) return { host, end: () => child.kill() }
  }
  throw new Error('the registry did not start')
}

/** Puts a proxy between a registry and its clients. */
async function shape(host: string, { proxy }: Shaping): Promise<{ host: string; end(): void }> {
  if (proxy === undefined) return { host, end: () => undefined }
  const [, port = ''] = host.split(':')
  const child = spawn(process.execPath, [join(import.meta.dirname, 'shaper.ts'), port, ...proxy], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(child.stdout, 'data')
  return { host: `127.0.0.1:${String(line).trim()}`, end: () => child.kill() }
}

/** Median time, Dray's time over it, and the most memory of all rounds. */
function summary(samples: readonly Sample[], ours: readonly Sample[]): string {
  const ms = median(samples.map((sample) => sample.ms))
  const ratio = median(ours.map((sample) => sample.ms)) / ms
  const memory = Math.max(...samples.map((sample) => sample.memory)) / 2 ** 20
  return `${(ms / 1000).toFixed(2)} s  ${ratio.toFixed(2)}x  ${memory.toFixed(0)} MiB`
}

/** In another order each time: memory that was in use a moment ago is had faster than such that was not. */
function shuffled<T>(things: readonly T[]): T[] {
  return things
    .map((thing) => ({ thing, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ thing }) => thing)
}

async function compare(image: string, contenders: readonly Contender[], dir: string) {
  const samples = new Map<Contender, Sample[]>(contenders.map((contender) => [contender, []]))
  // The first round warms the caches and doesn't count.
  for (let round = 0; round <= rounds; round++) {
    for (const contender of shuffled(contenders)) {
      const sample = await timePull(contender, image, dir)
      if (round > 0) samples.get(contender)?.push(sample)
    }
  }
  // The first of Dray's of each form is the one with its own defaults.
  const ours = new Map(
    [...samples]
      .filter(([{ program }]) => program === DRAY)
      .reverse()
      .map(([{ form }, list]) => [form, list]),
  )
  return [...samples].map(([{ form, name }, list]) => [
    form,
    name,
    summary(list, ours.get(form) ?? []),
  ])
}

const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
const registry = await startRegistry(dir, shaping)
const front = await shape(registry.host, shaping)
try {
  const present = CONTENDERS.filter(
    ({ program }) => program === DRAY || works([...prefix, 'which', program]),
  )
  console.log(`${values.setting}, medians of ${rounds}: time, Dray's time over it, peak memory`)
  for (const layout of positionals) {
    const { source, name } = parseLayout(layout)
    run([DRAY, 'push', '-q', `oci:${source}`, `${registry.host}/bench/${name}:1`])
    const rows = await compare(`${front.host}/bench/${name}:1`, present, dir)
    console.log(formatTable(rows.map((row) => [name, ...row])).trimEnd())
  }
} finally {
  front.end()
  registry.end()
  rmSync(dir, { recursive: true, force: true })
}
