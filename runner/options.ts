import { normalize } from 'node:path/posix'
import { DrayError } from '#oci/error.ts'

/** A directory or file of the host that is seen inside. */
export interface Volume {
  /** Absolute. Made as a directory when nothing is there. */
  readonly hostPath: string
  /** Absolute, normal, without a slash at the end. */
  readonly containerPath: string
  readonly readOnly: boolean
}

/** A volume whose place in a root file system is made. */
export interface PlacedVolume extends Volume {
  /** Whether the host path is a directory. */
  readonly isDirectory: boolean
}

/** How to run a container; absent means what the image says, then the default. */
export interface ContainerOptions {
  /** Replaces the image's Cmd, when it has a word. */
  readonly command?: readonly string[] | undefined
  /** Replaces the image's Entrypoint, and its Cmd too; `['']` or `[]` leaves none. */
  readonly entrypoint?: readonly string[] | undefined
  /** `KEY=VALUE`, or `KEY` alone for the value in `hostEnv`; without a value there, the image's variable is dropped. */
  readonly env?: readonly string[] | undefined
  /** Absolute; made when absent. */
  readonly workdir?: string | undefined
  /** `USER[:GROUP]`, names of the image or numbers. */
  readonly user?: string | undefined
  /** Default: the first 12 digits of the container's id. */
  readonly hostname?: string | undefined
  /** Default `none`: a loopback device and nothing else. `host`: the network of the host, all of it. */
  readonly network?: 'none' | 'host' | undefined
  readonly volumes?: readonly Volume[] | undefined
  /** Whether the root file system refuses writes. */
  readonly readOnly?: boolean | undefined
  /** A terminal inside; standard output must be one. */
  readonly tty?: boolean | undefined
  /** Hands standard input on; otherwise it is empty. */
  readonly interactive?: boolean | undefined
  /** Bytes. Nothing beyond goes to swap. */
  readonly memory?: number | undefined
  readonly cpus?: number | undefined
  /** Processes and threads; default 2048, -1 for no limit. */
  readonly pidsLimit?: number | undefined
}

/**
 * Parses `HOST:CONTAINER[:ro|rw]`, both absolute paths.
 *
 * @throws USAGE, also for targets that would hide what isolates the container
 */
export function parseVolume(text: string): Volume {
  const [host, container, mode, ...rest] = text.split(':')
  const good = host?.startsWith('/') && container?.startsWith('/') && rest.length === 0
  if (!host || !container || !good || !['ro', 'rw', undefined].includes(mode)) {
    throw usage(
      `invalid volume ${JSON.stringify(text)}: write HOST:CONTAINER[:ro], two absolute paths`,
    )
  }
  const containerPath = normalPath(container)
  if (containerPath === '/' || isInside(containerPath, '/proc')) {
    throw usage(`a volume cannot be mounted at ${containerPath}`)
  }
  return { hostPath: normalPath(host), containerPath, readOnly: mode === 'ro' }
}

/** Checks what the parsers of single values can't see. @throws USAGE */
export function checkOptions(options: ContainerOptions): void {
  const { workdir, hostname, volumes = [], env = [] } = options
  if (workdir !== undefined && !workdir.startsWith('/')) {
    throw usage(`the working directory ${JSON.stringify(workdir)} is not an absolute path`)
  }
  if (hostname !== undefined && !isHostname(hostname)) {
    throw usage(
      `invalid hostname ${JSON.stringify(hostname)}: letters, digits, - and ., at most 64`,
    )
  }
  const targets = volumes.map((volume) => volume.containerPath)
  const twice = targets.find((target, index) => targets.indexOf(target) !== index)
  if (twice !== undefined) throw usage(`two volumes are mounted at ${twice}`)
  const nameless = env.find((entry) => entry === '' || entry.startsWith('='))
  if (nameless !== undefined) {
    throw usage(`invalid variable ${JSON.stringify(nameless)}: write KEY=VALUE or KEY`)
  }
  const words = [...env, ...(options.command ?? []), ...(options.entrypoint ?? []), workdir ?? '']
  if (words.some((word) => word.includes('\0'))) throw usage('an argument contains a NUL byte')
}

// sethostname(2) takes 64 bytes.
function isHostname(name: string): boolean {
  return name.length <= 64 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*$/i.test(name)
}

/** Absolute, without `.`, `..`, double slashes and a slash at the end. */
export function normalPath(path: string): string {
  return normalize(`/${path}`).replace(/(?<=.)\/$/, '')
}

/** Whether a normal path is `dir` or below it. */
export function isInside(path: string, dir: string): boolean {
  return path === dir || path.startsWith(dir === '/' ? dir : `${dir}/`)
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
