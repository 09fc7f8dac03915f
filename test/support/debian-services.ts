import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mirror } from './debian-image.ts'

/** What neither server needs to run: compilers of queries, scripts, manuals. */
const LEFT_OUT = ['*libLLVM*', '*libz3*', '*perl*', '*/i18n/*', '*/doc/*', '*/man/*', '*/locale/*']

/**
 * A root file system with Debian's PostgreSQL and Redis, unpacked from their packages and set up by hand: a shell, users, and
 * directories. Made once, as a tar of about 100 MB that later runs of the tests find.
 */
export function debianServices(): string {
  const cache = join(tmpdir(), 'dray-test-debian-services-1.tar')
  if (existsSync(cache)) return cache
  const work = mkdtempSync(join(tmpdir(), 'dray-test-debian-'))
  try {
    const [all, tree, tar] = ['all.tar', 'tree', 'services.tar'].map((name) => join(work, name))
    if (all === undefined || tree === undefined || tar === undefined) return cache
    unpackPackages(all)
    mkdirSync(tree)
    const excludes = LEFT_OUT.map((pattern) => `--exclude=${pattern}`)
    execFileSync('tar', ['-C', tree, '-xf', all, ...excludes])
    setUp(tree)
    execFileSync('tar', ['-C', tree, '-cf', tar, '.'])
    renameSync(tar, cache)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return cache
}

function unpackPackages(tar: string): void {
  const packages = 'postgresql-15,redis-server,busybox-static'
  execFileSync(
    'mmdebstrap',
    [
      ...['--quiet', '--mode=root', '--variant=extract', `--include=${packages}`],
      ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'],
      ...['bookworm', tar, mirror()],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
}

/** What the packages' own scripts would have done. */
function setUp(tree: string): void {
  for (const name of ['sh', 'cat', 'sleep', 'httpd', 'mkdir', 'nslookup']) {
    symlinkSync('busybox', join(tree, 'bin', name))
  }
  appendFileSync(
    join(tree, 'etc/passwd'),
    'root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/srv/db:/bin/sh\n',
  )
  appendFileSync(join(tree, 'etc/group'), 'root:x:0:\npostgres:x:70:\n')
  for (const name of ['srv/db', 'srv/cache', 'srv/www', 'tmp', 'root']) {
    mkdirSync(join(tree, name), { recursive: true })
  }
  execFileSync('chown', ['70:70', join(tree, 'srv/db')])
}
