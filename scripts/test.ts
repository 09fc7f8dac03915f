/**
 * Runs tiers of tests: `node scripts/test.ts unit root s3 e2e`, or files. A tier that can't run here says why and fails.
 * The files of all tiers are one queue: the longest come first, and the short ones of `unit` fill what is left at the end.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, globSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { spec } from 'node:test/reporters'
import { type FileOutcome, note, runTestFile } from './test-file.ts'

interface Tier {
  readonly files: string
  readonly needsRoot: boolean
  /** Programs that must be on the PATH, with the Debian package of each. */
  readonly programs: Readonly<Record<string, string>>
}

const TIERS: Readonly<Record<string, Tier>> = {
  unit: { files: 'test/**/*.test.ts', needsRoot: false, programs: {} },
  root: {
    files: 'test/**/*.root.test.ts',
    needsRoot: true,
    programs: {
      runc: 'runc',
      conmon: 'conmon',
      newuidmap: 'uidmap',
      pasta: 'passt',
      slirp4netns: 'slirp4netns',
      socat: 'socat',
      busybox: 'busybox-static',
      setfattr: 'attr',
      setfacl: 'acl',
    },
  },
  s3: {
    files: 'test/**/*.s3.test.ts',
    needsRoot: true,
    programs: { 'ceph-mon': 'ceph-mon', 'ceph-osd': 'ceph-osd', radosgw: 'radosgw' },
  },
  e2e: {
    files: 'test/**/*.e2e.test.ts',
    needsRoot: true,
    programs: {
      skopeo: 'skopeo',
      podman: 'podman',
      buildah: 'buildah',
      dockerd: 'docker.io',
      ctr: 'containerd',
      crane: 'crane',
      oras: 'oras',
      umoci: 'umoci',
      runc: 'runc',
      mmdebstrap: 'mmdebstrap',
      radosgw: 'radosgw',
    },
  },
}

const PRIVILEGED = /\.(?:root|s3|e2e)\.test\.ts$/

/** What takes minutes must not begin when everything else has ended. */
const LONGEST_FIRST = [/compatibility\/|\/killed/, /\.e2e\.test/, /\.root\.test/, /\.s3\.test/]

/** How reporters call what Node counts. */
const COUNTS = [
  ['tests', 'tests'],
  ['suites', 'suites'],
  ['pass', 'passed'],
  ['fail', 'failed'],
  ['cancelled', 'cancelled'],
  ['skipped', 'skipped'],
  ['todo', 'todo'],
] as const

function onPath(program: string): boolean {
  return `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`
    .split(delimiter)
    .some((dir) => {
      try {
        accessSync(join(dir, program), constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

function obstacles(tier: Tier): string[] {
  const missing = Object.entries(tier.programs).filter(([program]) => !onPath(program))
  return [
    ...(tier.needsRoot && process.getuid?.() !== 0 ? ['it must run as root'] : []),
    ...(missing.length === 0
      ? []
      : [
          `install ${[...new Set(missing.map(([, name]) => name))].join(' ')}, as scripts/test-all.sh does`,
        ]),
  ]
}

function filesOf(name: string): string[] {
  const tier = TIERS[name]
  if (tier === undefined) {
    console.error(`no tier ${name}: choose from ${Object.keys(TIERS).join(', ')}`)
    process.exit(2)
  }
  const why = obstacles(tier)
  if (why.length > 0) {
    console.error(`the ${name} tests can't run here: ${why.join('; ')}`)
    process.exit(1)
  }
  const files = globSync(tier.files)
  return (name === 'unit' ? files.filter((file) => !PRIVILEGED.test(file)) : files).sort()
}

const args = process.argv.slice(2)
const files = args
  .flatMap((arg) => (arg.endsWith('.test.ts') ? [arg] : filesOf(arg)))
  .sort((a, b) => rank(a) - rank(b))
// Some tests run the program as users do: what they run must be what the sources say.
if (!isBuilt()) {
  const built = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' })
  if (built.status !== 0) process.exit(1)
}
process.exit((await runAll(files)) ? 0 : 1) // What a file left open may be open here as well.

/** Whether the program is newer than all that it is built of, as it is right after `npm ci`. */
function isBuilt(): boolean {
  const changedAt = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  // A directory changes when a file comes or goes.
  const sources = globSync('{oci,registry,puller,runner,cli}/**')
  const latest = Math.max(...['scripts/build.ts', 'package-lock.json', ...sources].map(changedAt))
  return changedAt('dist/cli/main.js') > latest
}

/** Runs a queue of files and reports on each when it ends. @returns whether all is well */
async function runAll(queue: readonly string[]): Promise<boolean> {
  const started = performance.now()
  const reporter = new spec()
  reporter.pipe(process.stdout)
  const outcomes: FileOutcome[] = []
  const files = queue.values()
  // Half of a test's time is waiting for what it started.
  const workers = Array.from({ length: availableParallelism() * 2 }, async () => {
    for (const file of files) {
      const outcome = await runTestFile(file)
      outcomes.push(outcome)
      for (const event of outcome.events) reporter.write(event)
    }
  })
  await Promise.all(workers)
  const durationMs = performance.now() - started
  for (const line of [...timesOf(outcomes), ...sumsOf(outcomes, durationMs)]) {
    reporter.write(note(line))
  }
  reporter.end()
  await finished(reporter)
  return outcomes.every(({ isGood }) => isGood)
}

/** What each file took, the greediest first. */
function timesOf(outcomes: readonly FileOutcome[]): string[] {
  return outcomes
    .toSorted((a, b) => b.cpuSeconds - a.cpuSeconds)
    .map(
      ({ file, cpuSeconds, wallMs }) =>
        `${cpuSeconds.toFixed(1)} s of CPU in ${(wallMs / 1000).toFixed(1)} s: ${file}`,
    )
}

/** As Node's own run of several files has them. */
function sumsOf(outcomes: readonly FileOutcome[], durationMs: number): string[] {
  const sum = (name: string) =>
    outcomes.reduce((total, { counts }) => total + (counts[name] ?? 0), 0)
  return [
    ...COUNTS.map(([label, name]) => `${label} ${sum(name)}`),
    `duration_ms ${Math.round(durationMs)}`,
  ]
}

/** The lower, the earlier. */
function rank(file: string): number {
  const first = LONGEST_FIRST.findIndex((pattern) => pattern.test(file))
  return first === -1 ? LONGEST_FIRST.length : first
}
