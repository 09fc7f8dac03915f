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
  /** What the image is called; default: its digest. */
  readonly image?: string | undefined
  /** Default: one that is made up. */
  readonly name?: string | undefined
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
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Whether the container is removed when it ends. */
  readonly autoRemove?: boolean | undefined
  /** What {@link parseSignal} takes. Default: the image's, then SIGTERM. */
  readonly stopSignal?: string | undefined
  /** How long a container may take to stop before it is killed, in seconds; default 10, -1 for ever. */
  readonly stopTimeout?: number | undefined
  readonly restart?: RestartPolicy | undefined
  readonly log?: LogOptions | undefined
}

/** When a container that ended is started again. Never, when somebody stopped it. */
export interface RestartPolicy {
  /** `always` and `unless-stopped` differ after a boot: what was stopped before it stays so with the latter. */
  readonly name: 'no' | 'on-failure' | 'always' | 'unless-stopped'
  /** Most restarts of `on-failure`; 0 for no bound. */
  readonly maxRetries: number
}

/** What becomes of a container's output. */
export interface LogOptions {
  readonly driver: 'k8s-file' | 'journald' | 'none'
  /** Bytes, for a file: one that is full begins anew. */
  readonly maxSize?: number | undefined
  readonly tag?: string | undefined
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

/** Parses `no`, `on-failure[:N]`, `always` or `unless-stopped`. @throws USAGE */
export function parseRestartPolicy(text: string): RestartPolicy {
  const match = /^(?:(no|always|unless-stopped)|(on-failure)(?::(\d{1,6}))?)$/.exec(text)
  const name = (match?.[1] ?? match?.[2]) as RestartPolicy['name'] | undefined
  if (name !== undefined) return { name, maxRetries: Number(match?.[3] ?? 0) }
  throw usage(
    `invalid restart policy ${JSON.stringify(text)}: write no, on-failure[:N], always or unless-stopped`,
  )
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
