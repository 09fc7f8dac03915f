/** The parts of the OCI runtime spec (config.md, config-linux.md) that Dray writes. */
export interface RuntimeSpec {
  readonly ociVersion: string
  readonly process: Process
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly hostname?: string | undefined
  readonly mounts: readonly Mount[]
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly hooks?: Hooks | undefined
  readonly linux: Linux
}

/** Programs to run at points of a container's life (config.md, "POSIX-platform Hooks"). */
export interface Hooks {
  readonly prestart?: readonly Hook[] | undefined
  readonly createRuntime?: readonly Hook[] | undefined
  readonly createContainer?: readonly Hook[] | undefined
  readonly startContainer?: readonly Hook[] | undefined
  readonly poststart?: readonly Hook[] | undefined
  readonly poststop?: readonly Hook[] | undefined
}

export interface Hook {
  readonly path: string
  readonly args?: readonly string[] | undefined
  readonly env?: readonly string[] | undefined
  readonly timeout?: number | undefined
}

export interface Process {
  readonly terminal: boolean
  readonly user: User
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: Capabilities
  readonly rlimits?: readonly Rlimit[] | undefined
  readonly noNewPrivileges: boolean
  readonly oomScoreAdj?: number | undefined
}

/** Always numbers: names are resolved before the runtime sees them. */
export interface User {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  readonly umask?: number | undefined
}

export interface Capabilities {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
  readonly inheritable: readonly string[]
  readonly ambient: readonly string[]
}

export interface Rlimit {
  readonly type: string
  readonly hard: number
  readonly soft: number
}

export interface Mount {
  readonly destination: string
  readonly type?: string | undefined
  readonly source?: string | undefined
  readonly options?: readonly string[] | undefined
}

export interface Namespace {
  readonly type: 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup'
  readonly path?: string | undefined
}

/** Ids of a user namespace, from `containerID` on, and those of the host that stand for them. */
export interface IdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

export interface Linux {
  readonly namespaces: readonly Namespace[]
  readonly uidMappings?: readonly IdMapping[] | undefined
  readonly gidMappings?: readonly IdMapping[] | undefined
  /** Absent: the container stays in the cgroup of whoever starts it. */
  readonly cgroupsPath?: string | undefined
  readonly resources?: Resources | undefined
  readonly devices?: readonly DeviceNode[] | undefined
  readonly sysctl?: Readonly<Record<string, string>> | undefined
  readonly maskedPaths: readonly string[]
  readonly readonlyPaths: readonly string[]
  readonly rootfsPropagation?: string | undefined
  readonly seccomp?: Seccomp | undefined
}

export interface Resources {
  readonly devices: readonly DeviceRule[]
  /** Bytes; `swap` is memory and swap together, absent where the kernel can't limit it. */
  readonly memory?:
    | {
        readonly limit?: number | undefined
        readonly swap?: number | undefined
        readonly reservation?: number | undefined
        readonly swappiness?: number | undefined
        readonly disableOOMKiller?: boolean | undefined
      }
    | undefined
  /** `quota` out of `period`, both in microseconds. */
  readonly cpu?:
    | {
        readonly quota?: number | undefined
        readonly period?: number | undefined
        readonly shares?: number | undefined
        readonly cpus?: string | undefined
        readonly mems?: string | undefined
      }
    | undefined
  readonly pids?: { readonly limit: number } | undefined
  readonly blockIO?: BlockIo | undefined
}

/** Bytes or operations in a second, by device, and weights from 10 to 1000 against other cgroups. */
export type BlockIo = Readonly<Partial<Record<BlockIoRate, readonly DeviceLimit[]>>> & {
  readonly weight?: number | undefined
  readonly weightDevice?:
    | readonly { readonly major: number; readonly minor: number; readonly weight: number }[]
    | undefined
}

export type BlockIoRate =
  | 'throttleReadBpsDevice'
  | 'throttleWriteBpsDevice'
  | 'throttleReadIOPSDevice'
  | 'throttleWriteIOPSDevice'

export interface DeviceLimit {
  readonly major: number
  readonly minor: number
  readonly rate: number
}

/** A device made in /dev. */
export interface DeviceNode {
  readonly path: string
  readonly type: 'b' | 'c' | 'p'
  readonly major: number
  readonly minor: number
  readonly fileMode: number
  readonly uid: number
  readonly gid: number
}

export interface DeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'b' | 'c' | undefined
  readonly major?: number | undefined
  readonly minor?: number | undefined
  readonly access: string
}

export type SeccompAction =
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_LOG'

export interface Seccomp {
  readonly defaultAction: SeccompAction
  readonly defaultErrnoRet?: number | undefined
  readonly architectures: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: SeccompAction
  readonly errnoRet?: number | undefined
  readonly args?: readonly SeccompArgument[] | undefined
}

export interface SeccompArgument {
  readonly index: number
  readonly value: number
  readonly valueTwo?: number | undefined
  readonly op:
    | 'SCMP_CMP_NE'
    | 'SCMP_CMP_LT'
    | 'SCMP_CMP_LE'
    | 'SCMP_CMP_EQ'
    | 'SCMP_CMP_GE'
    | 'SCMP_CMP_GT'
    | 'SCMP_CMP_MASKED_EQ'
}
