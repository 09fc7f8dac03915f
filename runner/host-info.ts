import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { promisify } from 'node:util'
import { errorMessage } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { type Advisory, advisoriesOf } from './advisories.ts'
import { type Cgroups, HOW_TO_DELEGATE, readCgroups } from './cgroup.ts'
import { isKernelAtLeast } from './host-facts.ts'
import { defaultNetwork } from './network/default.ts'
import { takesLayersOneByOne } from './overlay.ts'
import { findRuntime, KNOWN_RUNTIMES, obstacleOf } from './runtime.ts'

const run = promisify(execFile)

/** An OCI runtime that Dray knows, as it is on this host. */
export interface RuntimeInfo {
  readonly name: string
  /** Undefined when it isn't installed. */
  readonly path: string | undefined
  /** First line of what it says about itself. */
  readonly version: string | undefined
  /** Why it can't be used; undefined when it can. */
  readonly obstacle: string | undefined
  /** Holes that its version has: those that are its duty to close, and those that can't be used here. */
  readonly advisories: { readonly open: readonly string[]; readonly prevented: readonly string[] }
}

/** What this host offers to containers. Plain data. */
export interface HostInfo {
  readonly kernel: string
  readonly architecture: string
  readonly isRoot: boolean
  /** Whether root is root over a part of the host's users only: containers of an ordinary user. */
  readonly isUserNamespace: boolean
  readonly cgroups: {
    readonly mode: Cgroups['mode']
    readonly controllers: readonly string[]
    /** Why containers are not held to limits; undefined when they are. */
    readonly obstacle?: string | undefined
  }
  readonly runtimes: readonly RuntimeInfo[]
  /** Name of the runtime that `run` takes by default. */
  readonly runtime: string | undefined
  readonly overlay: {
    readonly supported: boolean
    /** Whether layers are stacked one option each, up to 500. Undefined when not root: it can't be tried. */
    readonly layersOneByOne: boolean | undefined
  }
  /** The network that containers get when nothing is said. */
  readonly network: Awaited<ReturnType<typeof defaultNetwork>>
  readonly seccomp: boolean
  readonly userNamespaces: boolean
  /** `plain` mounts images on block devices; `file` also on plain files (Linux 6.12). */
  readonly erofs: 'none' | 'plain' | 'file'
  /** What each command lacks here, with what to do; empty when it will work. */
  readonly missing: { readonly run: readonly string[] }
}

const VERSION_TIMEOUT_MS = 5000
const NEEDED_CONTROLLERS = ['cpu', 'memory', 'pids']

/**
 * Looks at the host, without changing it. Programs are run only to ask for their version.
 *
 * @param searchPath value of PATH
 * @param notRoot why this process is not root, not even of a user namespace
 */
export async function readHostInfo(searchPath?: string, notRoot?: string): Promise<HostInfo> {
  const cgroups = await readCgroups()
  const runtimes = await Promise.all(
    KNOWN_RUNTIMES.map((name) => describeRuntime(name, searchPath, cgroups)),
  )
  const [fileSystems, status, namespaces] = await Promise.all([
    readText('/proc/filesystems'),
    readText('/proc/self/status'),
    readText('/proc/sys/user/max_user_namespaces'),
  ])
  const isRoot = process.geteuid?.() === 0
  const facts = {
    kernel: release(),
    architecture: process.arch,
    isRoot,
    isUserNamespace: isInUserNamespace(),
    cgroups: {
      mode: cgroups.mode,
      controllers: cgroups.controllers,
      ...(cgroups.obstacle !== undefined && { obstacle: cgroups.obstacle }),
    },
    runtimes,
    runtime: runtimes.find((runtime) => runtime.obstacle === undefined)?.name,
    overlay: overlayOf(fileSystems, isRoot),
    network: defaultNetwork(searchPath),
    seccomp: /^Seccomp:/m.test(status),
    userNamespaces: Number(namespaces) > 0,
    erofs: erofsOf(fileSystems),
  }
  return { ...facts, missing: { run: missingForRun(facts, notRoot) } }
}

async function describeRuntime(
  name: string,
  searchPath: string | undefined,
  cgroups: Cgroups,
): Promise<RuntimeInfo> {
  const found = findRuntime(name, searchPath)
  if (found === undefined) {
    return {
      name,
      path: undefined,
      version: undefined,
      obstacle: 'not installed',
      advisories: NONE,
    }
  }
  const { path } = found
  try {
    const { stdout } = await run(path, ['--version'], { timeout: VERSION_TIMEOUT_MS })
    const version = stdout.split('\n')[0]
    const advisories = advisoryIds(name, version)
    return { name, path, version, obstacle: obstacleOf(found, cgroups), advisories }
  } catch (error) {
    const obstacle = `it does not start: ${errorMessage(error)}`
    return { name, path, version: undefined, obstacle, advisories: NONE }
  }
}

const NONE: RuntimeInfo['advisories'] = { open: [], prevented: [] }

function advisoryIds(name: string, version: string | undefined): RuntimeInfo['advisories'] {
  const idsOf = (all: readonly Advisory[]) => all.map(({ id }) => id)
  const known = advisoriesOf(name, version)
  return {
    open: idsOf(known.filter(({ isPrevented }) => !isPrevented)),
    prevented: idsOf(known.filter(({ isPrevented }) => isPrevented)),
  }
}

/** Reading the list loads no module; the kernel does that at the first mount, so root finds out by trying. */
function overlayOf(fileSystems: string, isRoot: boolean): HostInfo['overlay'] {
  const listed = /\toverlay$/m.test(fileSystems)
  if (!isRoot) return { supported: listed, layersOneByOne: undefined }
  try {
    return { supported: true, layersOneByOne: takesLayersOneByOne() }
  } catch {
    return { supported: listed, layersOneByOne: false }
  }
}

function erofsOf(fileSystems: string): HostInfo['erofs'] {
  if (!/\terofs$/m.test(fileSystems)) return 'none'
  return isKernelAtLeast(6, 12) ? 'file' : 'plain'
}

/** What `run` lacks, from the other facts. Pure. */
export function missingForRun(
  host: Omit<HostInfo, 'missing'>,
  notRoot = 'root: containers are mounted and isolated by root',
): string[] {
  const controllers = NEEDED_CONTROLLERS.filter((name) => !host.cgroups.controllers.includes(name))
  return [
    ...(host.isRoot ? [] : [notRoot]),
    ...(host.runtime === undefined ? [`an OCI runtime: ${whyNone(host.runtimes)}`] : []),
    ...(host.overlay.supported ? [] : ['the overlay file system: modprobe overlay']),
    ...(host.seccomp ? [] : ['seccomp: a kernel built with CONFIG_SECCOMP_FILTER']),
    ...(controllers.length === 0 || host.cgroups.obstacle !== undefined
      ? []
      : [`cgroup controllers for limits: ${controllers.join(', ')}${delegation(host)}`]),
  ]
}

function delegation({ isUserNamespace }: Pick<HostInfo, 'isUserNamespace'>): string {
  return isUserNamespace ? ` (${HOW_TO_DELEGATE})` : ''
}

function whyNone(runtimes: readonly RuntimeInfo[]): string {
  const reasons = runtimes.map(({ name, obstacle }) => `${name}: ${obstacle}`)
  return `${reasons.join('; ')}; apt-get install runc`
}

function readText(path: string): Promise<string> {
  return readFile(path, 'latin1').catch(() => '')
}
