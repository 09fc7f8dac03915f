import { execFileSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Two real images, made from Debian's packages by tools that are not ours, as OCI image layouts named `latest`. */
export interface DebianImages {
  /** Debian 12 minbase without manuals, as images of it come: one layer, about 130 MB unpacked. */
  readonly base: string
  /** Three layers on top of it: nodejs and python3, a C compiler, a small application. About 350 MB unpacked. */
  readonly app: string
  /** The base as a tar, as mmdebstrap wrote it. */
  readonly tar: string
}

/**
 * Nobody reads manuals in an image. Removed when all is installed, since mmdebstrap filters each package slowly. Of what comes later
 * the half of a C compiler that compiles nothing without options is left out as well.
 */
const WITHOUT_MANUALS = `cd "$1/usr/share" || exit 1
  {
    for dir in doc info locale man; do
      rm -rf "$dir"
      echo "path-exclude=/usr/share/$dir/*"
    done
    for file in lto1 '*-lto-dump*' '*san.*' '*san_*'; do echo "path-exclude=/usr/*/$file"; done
  } > "$1/etc/dpkg/dpkg.cfg.d/left-out"`

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Makes the images, or takes those that an earlier run of the tests made; they take a minute or two. */
export function debianImages(): DebianImages {
  const cache = join(tmpdir(), 'dray-test-debian-images-5')
  const lock = lockFile(`${cache}.lock`)
  try {
    if (!existsSync(cache)) makeImages(cache)
  } finally {
    closeSync(lock)
  }
  return { base: join(cache, 'base'), app: join(cache, 'app'), tar: join(cache, 'base.tar') }
}

/** Several files of tests want them at once. @returns what to close, to let the next one have it */
function lockFile(path: string): number {
  const file = openSync(path, 'w')
  // The lock is that of the open file, which is ours as well.
  execFileSync('flock', ['3'], { stdio: ['ignore', 'ignore', 'inherit', file] })
  return file
}

function makeImages(cache: string): void {
  const work = mkdtempSync(join(tmpdir(), 'dray-test-debian-'))
  try {
    makeBase(work)
    makeApp(work)
    for (const name of ['bundle', 'lists', 'own', 'own.tar'])
      rmSync(join(work, name), { recursive: true })
    renameSync(work, cache)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function sh(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26 })
}

function makeBase(work: string): void {
  const tar = join(work, 'base.tar')
  const layout = join(work, 'base')
  sh(
    'mmdebstrap',
    '--quiet',
    '--mode=root',
    '--variant=minbase',
    '--aptopt=Acquire::Languages "none"',
    '--dpkgopt=force-unsafe-io',
    `--customize-hook=${WITHOUT_MANUALS}`,
    'bookworm',
    tar,
    mirror(),
  )
  sh('umoci', 'init', '--layout', layout)
  sh('umoci', 'new', '--image', `${layout}:latest`)
  sh('umoci', 'raw', 'add-layer', '--image', `${layout}:latest`, tar)
  sh(
    'umoci',
    'config',
    '--image',
    `${layout}:latest`,
    '--config.cmd',
    '/bin/bash',
    '--config.env',
    PATH,
  )
}

function makeApp(work: string): void {
  const layout = join(work, 'app')
  const image = `${layout}:latest`
  const bundle = join(work, 'bundle')
  const root = join(bundle, 'rootfs')
  const lists = join(work, 'lists')
  mkdirSync(lists)
  cpSync(join(work, 'base'), layout, { recursive: true })
  sh('umoci', 'unpack', '--image', image, bundle)
  install(root, 'nodejs python3', lists)
  sh('umoci', 'repack', '--refresh-bundle', '--image', image, bundle)
  install(root, 'gcc libc6-dev', lists)
  sh('umoci', 'repack', '--image', image, bundle)
  // Without a look at every file of the bundle, which takes as long as to install one of the others.
  const [own, tar] = [join(work, 'own'), join(work, 'own.tar')]
  mkdirSync(join(own, 'srv/app'), { recursive: true })
  writeFileSync(join(own, 'srv/app/index.js'), "console.log('hello')\n")
  sh('tar', '-C', own, '-cf', tar, 'srv')
  sh('umoci', 'raw', 'add-layer', '--image', image, tar)
  sh('umoci', 'gc', '--layout', layout)
}

/** Installs packages into a tree as a builder would, with no service started. `lists` has apt's lists once it has been called. */
function install(root: string, packages: string, lists: string): void {
  const policy = join(root, 'usr/sbin/policy-rc.d')
  const resolver = join(root, 'etc/resolv.conf')
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  writeFileSync(resolver, readFileSync('/etc/resolv.conf'))
  // The mounts are made in a namespace of their own and end with it.
  const script = `
    mount --rbind /dev "$0/dev"
    mount -t proc proc "$0/proc"
    mount --bind "$1" "$0/var/lib/apt/lists"
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    [ -n "$(ls "$1")" ] || chroot "$0" apt-get update -q
    chroot "$0" apt-get install -y -q --no-install-recommends ${packages}
    chroot "$0" apt-get clean`
  sh('unshare', '--mount', 'sh', '-ec', script, root, lists)
  rmSync(policy)
  writeFileSync(resolver, '')
}

/** The Debian mirror that this machine uses itself. */
export function mirror(): string {
  for (const file of ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']) {
    if (!existsSync(file)) continue
    const line = /^(?:URIs:|deb)\s+(?:\[[^\]]*\]\s+)?(https?:\S+)/m.exec(readFileSync(file, 'utf8'))
    if (line?.[1] !== undefined) return line[1]
  }
  return 'http://deb.debian.org/debian'
}
