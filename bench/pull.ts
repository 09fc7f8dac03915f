/**
 * Pulls images from a registry over loopback, by Dray and by its peers in turn, each time into an empty store on a fresh
 * ext4, and prints medians and ratios.
 *
 *     node bench/pull.ts [--rounds 5] [--dir DIR] [--prefix 'chroot DIR'] LAYOUT[:NAME]...
 *
 * LAYOUT is an OCI image layout. Needs root and skopeo. Peers are taken where they are found: skopeo and crane (to an OCI
 * layout), containerd and podman (unpacked). `--prefix` runs them in another root, in which DIR must be visible too.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { formatTable } from '#cli/output/format.ts'
import { median } from './support/median.ts'

const DRAY = join(import.meta.dirname, '../bin/dray')
const GiB = 1024 ** 3

interface Contender {
  readonly name: string
  /** The program that must be there. */
  readonly program: string
  /** Starts what must run before the clock does; returns how to end it. */
  prepare?(dir: string): Promise<() => Promise<void>>
  /** The command that is timed. `dir` is empty and on a file system of its own. */
  pull(image: string, dir: string): readonly string[]
}

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    prefix: { type: 'string', default: '' },
  },
  allowPositionals: true,
})
const prefix = values.prefix.split(' ').filter((word) => word !== '')
const rounds = Number(values.rounds)
if (positionals.length === 0 || !(rounds > 0)) {
  console.error(
    'usage: node bench/pull.ts [--rounds N] [--dir DIR] [--prefix COMMAND] LAYOUT[:NAME]...',
  )
  process.exit(2)
}

const CONTENDERS: readonly Contender[] = [
  {
    name: 'dray (unpacked)',
    program: DRAY,
    pull: (image, dir) => [DRAY, 'pull', '-q', '--root', join(dir, 'store'), image],
  },
  {
    name: 'containerd (unpacked)',
    program: 'ctr',
    prepare: startContainerd,
    pull: (image, dir) => [
      ...prefix,
      'ctr',
      '-a',
      join(dir, 'c.sock'),
      'images',
      'pull',
      '--plain-http',
      image,
    ],
  },
  {
    name: 'podman (unpacked)',
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
    name: 'skopeo (layout)',
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
    name: 'crane (layout)',
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

async function startContainerd(dir: string): Promise<() => Promise<void>> {
  const config = join(dir, 'config.toml')
  writeFileSync(
    config,
    `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\n[grpc]\naddress = "${dir}/c.sock"\n`,
  )
  const [program = 'containerd', ...args] = [...prefix, 'containerd', '-c', config, '-l', 'error']
  const child = spawn(program, args, { stdio: 'ignore' })
  for (
    let tries = 0;
    tries < 100 && !works([...prefix, 'ctr', '-a', `${dir}/c.sock`, 'version']);
    tries++
  ) {
    await sleep(100)
  }
  return async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

function run([program = '', ...args]: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26 })
}

function works(command: readonly string[]): boolean {
  try {
    run(command)
    return true
  } catch {
    return false
  }
}

/** Gives `work` an empty directory on an ext4 that nothing was ever removed from. */
async function onFreshDisk(dir: string, work: (dir: string) => Promise<number>): Promise<number> {
  const [disk, mount] = [join(dir, 'disk'), join(dir, 'mnt')]
  writeFileSync(disk, '')
  truncateSync(disk, 16 * GiB)
  mkdirSync(mount, { recursive: true })
  run(['mkfs.ext4', '-q', '-F', disk])
  run(['mount', '-o', 'loop', disk, mount])
  run(['sync'])
  try {
    return await work(mount)
  } finally {
    run(['umount', '-R', '-l', mount])
    rmSync(disk)
  }
}

async function timePull(contender: Contender, image: string, dir: string): Promise<number> {
  return await onFreshDisk(dir, async (mount) => {
    const end = await contender.prepare?.(mount)
    try {
      const started = performance.now()
      run(contender.pull(image, mount))
      return performance.now() - started
    } finally {
      await end?.()
    }
  })
}

async function startRegistry(dir: string): Promise<{ host: string; end(): void }> {
  const child = spawn(
    DRAY,
    ['serve', '--listen', '127.0.0.1:0', '--data', join(dir, 'registry'), '--log-level', 'silent'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  for await (const chunk of child.stderr) {
    const host = /listening on http:\/\/([^\s,]+)/.exec(String(chunk))?.[1]
    if (host !== undefined) return { host, end: () => child.kill() }
  }
  throw new Error('the registry did not start')
}

const dir = mkdtempSync(join(values.dir, 'dray-bench-'))
const registry = await startRegistry(dir)
try {
  const present = CONTENDERS.filter(
    ({ program }) => program === DRAY || works([...prefix, 'which', program]),
  )
  const rows = [['image', ...present.map(({ name }) => name)]]
  for (const layout of positionals) {
    const source = /:[^/]*$/.test(layout) ? layout : `${layout}:latest`
    const name = basename(source.slice(0, source.lastIndexOf(':')))
    const image = `${registry.host}/bench/${name}:1`
    run([
      'skopeo',
      '--insecure-policy',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      `oci:${source}`,
      `docker://${image}`,
    ])
    const times = new Map<Contender, number[]>(present.map((contender) => [contender, []]))
    // The first round warms the caches and doesn't count.
    for (let round = 0; round <= rounds; round++) {
      for (const [contender, list] of times) {
        const ms = await timePull(contender, image, dir)
        if (round > 0) list.push(ms)
      }
    }
    const ours = median([...times.values()][0] ?? [])
    const cell = (list: readonly number[]) => {
      const ms = median(list)
      return `${(ms / 1000).toFixed(2)}s (${(ours / ms).toFixed(2)}x)`
    }
    rows.push([name, ...[...times.values()].map(cell)])
    console.log(formatTable(rows.slice(-1)).trimEnd())
  }
  console.log(
    `\nmedians of ${rounds}; in brackets Dray's time over the peer's\n${formatTable(rows)}`,
  )
} finally {
  registry.end()
  rmSync(dir, { recursive: true, force: true })
}
