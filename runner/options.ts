import { normalize } from 'node:path/posix'
import { DrayError } from '#oci/error.ts'
import type { Healthcheck } from '#oci/image-config.ts'
import type { BlockIoRate, DeviceRule, Seccomp } from '#oci/runtime-spec.ts'
import type { CgroupManager } from './cgroup-path.ts'
import { parseSignal } from './signals.ts'
import { checkUserNamespace } from './userns/check.ts'
import type { IdMap, WantedIds } from './userns/id-map.ts'
import type { Attachment, PortMapping, PublishBy } from './network/model.ts'

/** A directory or file of the host that is seen inside. */
export interface Volume {
  /** Absolute. Made as a directory when nothing is there. */
  readonly hostPath: string
  /** Absolute, normal, without a slash at the end. */
  readonly containerPath: string
  readonly readOnly: boolean
  /** How mounts made later pass between host and container (mount_namespaces(7)); default `rprivate`. */
  readonly propagation?: string | undefined
  /** Whether an absent host path is a mistake, and no directory to be made. */
  readonly mustExist?: boolean | undefined
  /** Of a volume of the store, whose directory `hostPath` is. */
  readonly name?: string | undefined
  /** Whether the name was made up, and the volume goes with its container. */
  readonly isAnonymous?: boolean | undefined
  /** Whether an empty volume gets what the image has at its place. */
  readonly copiesUp?: boolean | undefined
  /** Whether the ids in it are those that the container sees, with a user namespace. */
  readonly mapsIds?: boolean | undefined
  /** More options of mount(8). */
  readonly flags?: readonly string[] | undefined
}

/** A volume of the store that is wanted: by name, or a new one. */
export interface NamedVolume {
  readonly name?: string | undefined
  readonly containerPath: string
  readonly readOnly: boolean
  readonly copiesUp: boolean
}

/** A file system in memory, empty at every start. */
export interface Tmpfs {
  readonly containerPath: string
  /** Of mount(8). */
  readonly options: readonly string[]
}

/** A device of the host that is there inside. */
export interface Device {
  readonly hostPath: string
  readonly containerPath: string
  /** Of `r`, `w` and `m` (mknod). */
  readonly access: string
}

/** How much a container may read or write of a block device in a second. */
export interface DeviceRate {
  readonly kind: BlockIoRate
  readonly hostPath: string
  /** Bytes or operations. */
  readonly rate: number
}

/** How much of a block device a container gets when others want it, too. */
export interface DeviceWeight {
  readonly hostPath: string
  /** 10 to 1000. */
  readonly weight: number
}

/** A limit of setrlimit(2); -1 for none. */
export interface Ulimit {
  /** Without RLIMIT_, in capitals. */
  readonly name: string
  readonly soft: number
  readonly hard: number
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
  /** `KEY=VALUE`, or `KEY` alone for the value in `hostEnv` when it is made; without one there, the image's variable is dropped. */
  readonly env?: readonly string[] | undefined
  /** Whether it also has the variables of `hostEnv` that neither the image nor {@link env} has. */
  readonly hasHostEnv?: boolean | undefined
  /** What they were when it was made; an image of it doesn't get them. */
  readonly inheritedEnv?: readonly string[] | undefined
  /** Absolute; made when absent. */
  readonly workdir?: string | undefined
  /** `USER[:GROUP]`, names of the image or numbers. */
  readonly user?: string | undefined
  /** What new files lack of their modes; default: that of the OCI runtime. */
  readonly umask?: number | undefined
  /** More groups of the user, names or numbers. */
  readonly groups?: readonly string[] | undefined
  /** Runs a small first process, which reaps what others leave and hands signals on. */
  readonly init?: boolean | undefined
  /** Default: the first 12 digits of the container's id. */
  readonly hostname?: string | undefined
  /** What follows the host name in its full name, and the domain name of setdomainname(2). */
  readonly domainname?: string | undefined
  /**
   * Default `none`: a loopback device and nothing else. `host`: the network of the host, all of it. `container:ID`: another
   * container's. Anything else is the name of a network, `bridge` for the default one.
   */
  readonly network?: string | undefined
  /** All networks, when {@link network} is the name of one: it is the first of them. Default: that one alone. */
  readonly networks?: readonly Attachment[] | undefined
  readonly ports?: readonly PortMapping[] | undefined
  /** Who takes the connections to them; default: a process where the host's firewall filters what comes in, else the kernel. */
  readonly publishBy?: PublishBy | undefined
  /** `80/tcp`, besides those of the image. */
  readonly exposedPorts?: readonly string[] | undefined
  /** Publishes the ports that the image exposes, at ports that are free. */
  readonly publishAll?: boolean | undefined
  readonly volumes?: readonly Volume[] | undefined
  /** `NAME[:ro|rw]` of containers whose volumes become {@link volumes} when the container is made, where no other is. */
  readonly volumesFrom?: readonly string[] | undefined
  /** Become {@link volumes} when the container is made. */
  readonly namedVolumes?: readonly NamedVolume[] | undefined
  readonly tmpfs?: readonly Tmpfs[] | undefined
  /** Bytes of /dev/shm; default 64 MiB. */
  readonly shmSize?: number | undefined
  readonly devices?: readonly Device[] | undefined
  /** Devices that may be used without a node that is made for them. */
  readonly deviceRules?: readonly DeviceRule[] | undefined
  /** Devices of vendors by their full names (CDI), such as `nvidia.com/gpu=0`. */
  readonly cdiDevices?: readonly string[] | undefined
  /** Whether the root file system refuses writes. */
  readonly readOnly?: boolean | undefined
  /** A terminal inside; standard output must be one. */
  readonly tty?: boolean | undefined
  /** Hands standard input on; otherwise it is empty. */
  readonly interactive?: boolean | undefined
  /** Bytes. Unless `memorySwap` says more, nothing beyond goes to swap. */
  readonly memory?: number | undefined
  /** Bytes of memory and swap together; -1 for no limit. */
  readonly memorySwap?: number | undefined
  readonly memoryReservation?: number | undefined
  /** How willingly its memory is swapped out, 0 to 100; cgroup v1 alone has it. */
  readonly memorySwappiness?: number | undefined
  /** Whether it waits for memory where it would be killed; cgroup v1 alone has it. */
  readonly oomKillDisable?: boolean | undefined
  readonly deviceRates?: readonly DeviceRate[] | undefined
  /** How much of block devices it gets when others want them, too: 10 to 1000. */
  readonly blkioWeight?: number | undefined
  readonly deviceWeights?: readonly DeviceWeight[] | undefined
  readonly cpuShares?: number | undefined
  /** Such as `0-2,4`. */
  readonly cpusetCpus?: string | undefined
  readonly cpusetMems?: string | undefined
  readonly ulimits?: readonly Ulimit[] | undefined
  readonly oomScoreAdj?: number | undefined
  /** The cgroup to be put below; default /dray. With systemd a slice; default dray.slice. */
  readonly cgroupParent?: string | undefined
  /** Who makes the cgroup; default `cgroupfs`, and for ordinary users `systemd`. */
  readonly cgroupManager?: CgroupManager | undefined
  readonly cpus?: number | undefined
  /** Microseconds of CPU time in each period; -1 for no limit. In place of {@link cpus}. */
  readonly cpuQuota?: number | undefined
  /** Microseconds; default 100000. */
  readonly cpuPeriod?: number | undefined
  /** Processes and threads; default 2048, -1 for no limit. */
  readonly pidsLimit?: number | undefined
  /** Capabilities besides the default ones, and without some of them; `ALL` for all. */
  readonly capAdd?: readonly string[] | undefined
  readonly capDrop?: readonly string[] | undefined
  /** All capabilities and devices, and nothing masked or filtered: as good as root on the host. */
  readonly privileged?: boolean | undefined
  /** Default: our profile. */
  readonly seccomp?: Seccomp | 'unconfined' | undefined
  /** Whether programs with the setuid bit or file capabilities give no rights; default true. */
  readonly noNewPrivileges?: boolean | undefined
  /** Whether what tells about the host in /proc and /sys is not hidden. */
  readonly unmaskedPaths?: boolean | undefined
  readonly sysctls?: Readonly<Record<string, string>> | undefined
  readonly dns?: readonly string[] | undefined
  readonly dnsSearch?: readonly string[] | undefined
  readonly dnsOptions?: readonly string[] | undefined
  /** `NAME:ADDRESS` */
  readonly extraHosts?: readonly string[] | undefined
  /** Whether /etc/hosts is the image's. */
  readonly keepsHosts?: boolean | undefined
  /** Whose namespaces are shared: the host's, or `container:ID`; default: none. */
  readonly pid?: SharedNamespace | undefined
  /** `private`: its own, that no other container shares; `none`: that without /dev/shm. Default: its own. */
  readonly ipc?: SharedNamespace | 'private' | 'none' | undefined
  readonly uts?: SharedNamespace | undefined
  /** `host`: the tree of cgroups that it sees is the host's; default `private`: begins at its own. */
  readonly cgroupns?: 'host' | 'private' | undefined
  /** Whether ids mean others than the host's: which ones, or how many are to be found. Default: the host's. */
  readonly userns?: IdMap | WantedIds | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** For the OCI runtime, its hooks and whoever reads the spec. */
  readonly annotations?: Readonly<Record<string, string>> | undefined
  /** Whether the container is removed when it ends. */
  readonly autoRemove?: boolean | undefined
  /** What {@link parseSignal} takes. Default: the image's, then SIGTERM. */
  readonly stopSignal?: string | undefined
  /** How long a container may take to stop before it is killed, in seconds; default 10, -1 for ever. */
  readonly stopTimeout?: number | undefined
  /** Seconds that a run of it may last before it is killed. */
  readonly timeout?: number | undefined
  readonly restart?: RestartPolicy | undefined
  readonly log?: LogOptions | undefined
  /** Overrules the image's, field by field. */
  readonly health?: Healthcheck | undefined
}

export type SharedNamespace = 'host' | `container:${string}`

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
  /** How many files are kept, the one that is written to among them; default 1. */
  readonly maxFiles?: number | undefined
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
  const {
    workdir,
    hostname,
    domainname,
    volumes = [],
    namedVolumes = [],
    tmpfs = [],
    env = [],
  } = options
  checkAbsolute(workdir)
  if (hostname !== undefined && !isHostname(hostname)) {
    throw usage(
      `invalid hostname ${JSON.stringify(hostname)}: letters, digits, - and ., at most 64`,
    )
  }
  if (hostname !== undefined && options.uts !== undefined) {
    throw usage('--hostname excludes --uts host, which has the host name of the host')
  }
  if (domainname !== undefined && !isHostname(domainname)) {
    throw usage(
      `invalid domain name ${JSON.stringify(domainname)}: letters, digits, - and ., at most 64`,
    )
  }
  if (domainname !== undefined && options.uts !== undefined) {
    throw usage('--domainname excludes --uts host, which has the domain name of the host')
  }
  const targets = [...volumes, ...namedVolumes, ...tmpfs].map((mount) => mount.containerPath)
  const twice = targets.find((target, index) => targets.indexOf(target) !== index)
  if (twice !== undefined) throw usage(`two volumes are mounted at ${twice}: name it once`)
  checkMemory(options)
  checkCpus(options)
  if (options.stopSignal !== undefined) parseSignal(options.stopSignal)
  const nameless = env.find((entry) => entry === '' || entry.startsWith('='))
  if (nameless !== undefined) {
    throw usage(`invalid variable ${JSON.stringify(nameless)}: write KEY=VALUE or KEY`)
  }
  checkUserNamespace(options)
  const words = [...env, ...(options.command ?? []), ...(options.entrypoint ?? []), workdir ?? '']
  if (words.some((word) => word.includes('\0'))) throw usage('an argument contains a NUL byte')
}

/** @throws USAGE */
export function checkAbsolute(workdir: string | undefined): void {
  if (workdir === undefined || workdir.startsWith('/')) return
  throw usage(`the working directory ${JSON.stringify(workdir)} is not an absolute path`)
}

/** Checks limits of memory against one another, as the kernel would, in words that say more. @throws USAGE */
export function checkMemory({ memory, memorySwap = 0, memoryReservation = 0 }: ContainerOptions) {
  if (memorySwap > 0 && memory === undefined) {
    throw usage('--memory-swap counts memory and swap together: give --memory, too')
  }
  if (memory === undefined) return
  if (memorySwap > 0 && memorySwap < memory) {
    throw usage('--memory-swap counts memory and swap together: give at least as much as --memory')
  }
  if (memoryReservation > memory) {
    throw usage('--memory-reservation is for when memory is short: give less than --memory')
  }
}

/** @throws USAGE */
export function checkCpus({ cpus, cpuPeriod, cpuQuota }: ContainerOptions): void {
  if (cpus === undefined || (cpuPeriod === undefined && cpuQuota === undefined)) return
  throw usage('--cpus says what --cpu-period and --cpu-quota say: give it alone, or those')
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
