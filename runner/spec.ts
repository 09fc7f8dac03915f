import { DrayError } from '#oci/error.ts'
import type { ExecutionConfig, ImageConfig } from '#oci/image-config.ts'
import type { BlockIo, Hooks, Namespace, Process, RuntimeSpec } from '#oci/runtime-spec.ts'
import { buildEnvironment } from './environment.ts'
import { buildMounts, INIT_PATH } from './mounts.ts'
import { type ContainerOptions, normalPath, type PlacedVolume } from './options.ts'
import { capabilitiesOf } from './spec/capabilities.ts'
import type { HostDevice } from './spec/devices.ts'
import { buildRlimits } from './spec/limits.ts'
import { buildLinux } from './spec/linux.ts'
import type { IdMap } from './userns/id-map.ts'
import type { ContainerUser } from './user.ts'

/** What `buildSpec` must know of the host, of the container and of the root file system. */
export interface SpecFacts {
  /** 64 hex digits. */
  readonly id: string
  readonly user: ContainerUser
  /** Absolute, free of links. */
  readonly workdir: string
  /** Of the mounted root file system: absolute, or relative to the bundle. */
  readonly rootPath: string
  /** Host files to mount read-write at /etc/hosts and the like, by their path inside. */
  readonly etcFiles: Readonly<Record<string, string>>
  /** The volumes of the options, at places free of links. */
  readonly volumes: readonly PlacedVolume[]
  /** Node's name of the processor architecture. */
  readonly architecture: string
  /** Whether swap can be limited (v1: swap accounting). */
  readonly limitsSwap: boolean
  /** Whether `ro` can hold for the mounts below a volume too (Linux 5.12). */
  readonly recursiveReadOnly: boolean
  /** Hard limit of open files of this process, which a container's can't exceed. */
  readonly openFilesLimit: number
  /** How willingly the kernel kills this process, 0 or more. */
  readonly oomScoreAdj: number
  /** Directories in /sys that tell about the host's load, masked besides the fixed ones. */
  readonly thermalPaths: readonly string[]
  /** What a cgroup here holds its processes to; default: everything. */
  readonly controllers?: readonly string[] | undefined
  /** Whether the container has a cgroup, which holds it to limits; default true. */
  readonly hasCgroup?: boolean | undefined
  /** Present where root is root over a part of the host's users only; the highest number of a group that there is. */
  readonly userNamespace?: { readonly highestGroup: number } | undefined
  /** What `ALL` capabilities are here; default: all that there are. */
  readonly hostCapabilities?: readonly string[] | undefined
  /** Where the namespaces are that others share, by kind. */
  readonly namespaces?: Readonly<Partial<Record<Namespace['type'], string>>> | undefined
  /** The ids of the user namespace; default: the host's. */
  readonly idMap?: IdMap | undefined
  /** Of devices of vendors. */
  readonly hooks?: Hooks | undefined
  /** The host's devices, where they are given to the container. */
  readonly devices?: readonly HostDevice[] | undefined
  /** The rates of devices, where something holds the container to them. */
  readonly blockIo?: BlockIo | undefined
  /** The first process of `init`, on the host. */
  readonly initPath?: string | undefined
  /** Where another container's /dev/shm is, on the host. */
  readonly shmPath?: string | undefined
}

/** The host name inside, from the options or the id. */
export function hostnameOf(id: string, options: ContainerOptions): string {
  return options.hostname ?? id.slice(0, 12)
}

/**
 * The command line: entrypoint and command of the options, else of the image. An entrypoint of the options drops the
 * image's Cmd.
 *
 * @throws USAGE when there is no word to run
 */
export function commandLine(config: ExecutionConfig, options: ContainerOptions): string[] {
  const own = options.entrypoint?.filter((word, at) => at > 0 || word !== '')
  const entrypoint = own ?? config.Entrypoint ?? []
  const given = options.command ?? []
  const command = given.length > 0 || own !== undefined ? given : (config.Cmd ?? [])
  const words = [...entrypoint, ...command]
  if (words.length > 0) return words
  throw new DrayError('USAGE', 'the image names no command: give one after the image')
}

/** The working directory as asked for, before links are followed. */
export function wantedWorkdir(config: ExecutionConfig, options: ContainerOptions): string {
  return normalPath(options.workdir ?? config.WorkingDir ?? '/')
}

/** The user as asked for, before it is looked up. */
export function wantedUser(config: ExecutionConfig, options: ContainerOptions): string {
  return options.user ?? config.User ?? ''
}

/**
 * The runtime spec of a container (runtime-spec, config.md). Pure. Of the image's labels nothing is copied to
 * annotations: runtimes act on some. Those are the options' alone.
 *
 * @throws USAGE when there is no command; IMAGE_CONFIG_INVALID for a NUL byte in the image's words
 */
export function buildSpec(
  image: ImageConfig,
  options: ContainerOptions,
  facts: SpecFacts,
): RuntimeSpec {
  return {
    ociVersion: '1.0.2',
    process: buildProcess(image.config ?? {}, options, facts),
    root: { path: facts.rootPath, readonly: options.readOnly ?? false },
    ...(options.uts === undefined && { hostname: hostnameOf(facts.id, options) }),
    mounts: buildMounts(options, facts),
    ...(options.annotations !== undefined && { annotations: options.annotations }),
    ...(facts.hooks !== undefined && { hooks: facts.hooks }),
    linux: buildLinux(options, facts),
  }
}

function buildProcess(
  config: ExecutionConfig,
  options: ContainerOptions,
  facts: SpecFacts,
): Process {
  const { uid, gid, additionalGids, home } = facts.user
  const hostname = hostnameOf(facts.id, options)
  const words = commandLine(config, options)
  const args = facts.initPath === undefined ? words : [INIT_PATH, '--', ...words]
  const env = buildEnvironment({
    hostname,
    home,
    tty: options.tty ?? false,
    image: config.Env ?? [],
    options: options.env ?? [],
  })
  if ([...args, ...env, facts.workdir].some((word) => word.includes('\0'))) {
    throw new DrayError('IMAGE_CONFIG_INVALID', 'a word of the image config contains a NUL byte')
  }
  return {
    terminal: options.tty ?? false,
    user: {
      uid,
      gid,
      additionalGids: withPrimary(gid, additionalGids),
      ...(options.umask !== undefined && { umask: options.umask }),
    },
    args,
    env,
    cwd: facts.workdir,
    capabilities: capabilitiesOf(uid, options, facts.hostCapabilities),
    rlimits: buildRlimits(options.ulimits ?? [], facts.openFilesLimit),
    noNewPrivileges: options.noNewPrivileges ?? !options.privileged,
    oomScoreAdj: options.oomScoreAdj ?? facts.oomScoreAdj,
  }
}

/**
 * The group of the user among the others too, as every login has it: a file that shuts out its group must not be open to who
 * drops that one (CVE-2022-2989, CVE-2022-36109).
 */
export function withPrimary(gid: number, others: readonly number[]): number[] {
  return gid === 0 ? [...others] : [...new Set([gid, ...others])]
}
