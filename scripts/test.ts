/**
 * Runs tiers of tests: `node scripts/test.ts unit root s3 e2e`, or files. A tier that can't run here says why and fails.
 * The files of all tiers are one queue: the longest come first, and the short ones of `unit` fill what is left at the end.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

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
const LONGEST_FIRST = [
  /compatibility\/|\/killed\.root/,
  /\.e2e\.test/,
  /\.root\.test/,
  /\.s3\.test/,
]

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
const built = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' })
if (built.status !== 0) process.exit(1)
run({
  files,
  // Half of a test's time is waiting for what it started.
  concurrency: availableParallelism() * 2,
  timeout: 600_000,
  execArgv: ['--import', join(import.meta.dirname, 'test-cache.ts')],
})
  .on('test:fail', () => {
    process.exitCode = 1
  })
  .compose(spec)
  .pipe(process.stdout)

/** The lower, the earlier. */
function rank(file: string): number {
  const first = LONGEST_FIRST.findIndex((pattern) => pattern.test(file))
  return first === -1 ? LONGEST_FIRST.length : first
}
