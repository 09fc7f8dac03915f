import { existsSync } from 'node:fs'
import type { BlockIoRate, IdMapping } from '#oci/runtime-spec.ts'
import { imagePorts } from '../containers/image.ts'
import { labelsOf } from '../containers/filter.ts'
import {
  type Container,
  type ContainerState,
  isRunning,
  readNumber,
  readState,
} from '../containers/state.ts'
import { mergedHealthcheck } from '../health/check.ts'
import { mergeEnvironment } from '../environment.ts'
import type { Health } from '../health/health.ts'
import { execIds, execPaths } from '../layout.ts'
import { DEFAULT_LOG } from '../monitor/conmon.ts'
import { describeConnection, describePorts } from '../network/describe.ts'
import { DEFAULT_SHM_SIZE } from '../mounts.ts'
import { commandLine, hostnameOf } from '../spec.ts'
import { formatDeviceRule } from '../spec/devices.ts'
import type { ContainerOptions, Volume } from '../options.ts'
import { idMapOf } from '../userns/resolve.ts'

/** Go's zero time, which docker gives for what never was. */
const NEVER = '0001-01-01T00:00:00Z'

/** An exit that nobody saw. */
export const UNKNOWN_EXIT = -1

/** All that is known of a container, in the words of docker's `inspect` as far as they fit. */
export function describeContainer(
  container: Container,
  state: ContainerState = readState(container),
) {
  const { record, paths, id } = container
  const { options, rootfs } = record
  const config = rootfs.config.config ?? {}
  const healthcheck = mergedHealthcheck(config, options)
  const [path = '', ...args] = commandLine(config, options)
  return {
    Id: id,
    Created: record.createdAt,
    Path: path,
    Args: args,
    State: describeState(state),
    Image: rootfs.manifestDigest,
    ImageName: record.image,
    Name: record.name,
    RestartCount: state.restarts,
    Driver: 'overlay',
    OCIRuntime: record.runtime,
    Keeper: record.keeper,
    OCIConfigPath: paths.config,
    ExecIDs: execIds(paths).filter((execId) => isAlive(execPaths(paths, execId).pid)),
    LogPath: (options.log ?? DEFAULT_LOG).driver === 'k8s-file' ? paths.output : '',
    GraphDriver: {
      Name: 'overlay',
      Data: {
        LowerDir: rootfs.lowerDirs.toReversed().join(':'),
        UpperDir: paths.upper,
        WorkDir: paths.work,
        MergedDir: isRunning(state) ? paths.merged : '',
      },
    },
    Mounts: (options.volumes ?? []).map(describeMount),
    Config: {
      Hostname: hostnameOf(id, options),
      Domainname: options.domainname ?? '',
      User: options.user ?? config.User ?? '',
      Env: mergeEnvironment(config.Env ?? [], [
        ...(options.inheritedEnv ?? []),
        ...(options.env ?? []),
      ]),
      Cmd: options.command?.length ? options.command : (config.Cmd ?? []),
      Entrypoint: options.entrypoint ?? config.Entrypoint ?? [],
      Image: record.image,
      WorkingDir: options.workdir ?? config.WorkingDir ?? '/',
      Labels: labelsOf(container),
      Tty: options.tty ?? false,
      OpenStdin: options.interactive ?? false,
      StopSignal: options.stopSignal ?? config.StopSignal ?? 'SIGTERM',
      StopTimeout: options.stopTimeout ?? 10,
      ...(healthcheck && { Healthcheck: healthcheck }),
      ExposedPorts: Object.fromEntries(imagePorts(config).map((port) => [port, {}])),
    },
    HostConfig: describeHostConfig(options),
    NetworkSettings: describeConnection(paths),
  }
}

/** Whether a file holds the number of a process that there is. */
function isAlive(pidFile: string): boolean {
  return existsSync(`/proc/${readNumber(pidFile) ?? 'none'}`)
}

function describeState(state: ContainerState) {
  return {
    Status: state.status,
    Running: isRunning(state),
    Paused: state.status === 'paused',
    OOMKilled: state.oomKilled,
    Pid: state.pid ?? 0,
    ExitCode: state.status === 'exited' ? (state.exitCode ?? UNKNOWN_EXIT) : 0,
    Error: state.error ?? '',
    StartedAt: state.startedAt ?? NEVER,
    FinishedAt: state.finishedAt ?? NEVER,
    ...(state.health && { Health: describeHealth(state.health) }),
  }
}

function describeHealth({ status, failingStreak, log }: Health) {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  }
}

function describeMount({ name, hostPath, containerPath, readOnly, propagation }: Volume) {
  return {
    ...(name === undefined ? { Type: 'bind' } : { Type: 'volume', Name: name, Driver: 'local' }),
    Source: hostPath,
    Destination: containerPath,
    Mode: readOnly ? 'ro' : '',
    RW: !readOnly,
    Propagation: propagation ?? 'rprivate',
  }
}

function describeHostConfig(options: ContainerOptions) {
  const { memory = 0, cpus = 0, pidsLimit = 0, restart, volumes = [], ports = [] } = options
  const ids = idMapOf(options)
  return {
    UsernsMode: ids === undefined ? 'host' : 'private',
    IDMappings: { UidMap: mapLines(ids?.uids), GidMap: mapLines(ids?.gids) },
    Binds: volumes.map(({ name, hostPath, containerPath, readOnly }) =>
      [name ?? hostPath, containerPath, ...(readOnly ? ['ro'] : [])].join(':'),
    ),
    Tmpfs: Object.fromEntries(
      (options.tmpfs ?? []).map((mount) => [mount.containerPath, mount.options.join(',')]),
    ),
    Devices: (options.devices ?? []).map((device) => ({
      PathOnHost: device.hostPath,
      PathInContainer: device.containerPath,
      CgroupPermissions: device.access,
    })),
    DeviceCgroupRules: (options.deviceRules ?? []).map(formatDeviceRule),
    NetworkMode: options.network ?? 'none',
    PortBindings: describePorts(ports),
    PublishAllPorts: options.publishAll ?? false,
    ExtraHosts: options.extraHosts ?? [],
    Dns: options.dns ?? [],
    DnsSearch: options.dnsSearch ?? [],
    DnsOptions: options.dnsOptions ?? [],
    PidMode: options.pid ?? 'private',
    IpcMode: options.ipc ?? 'shareable',
    CgroupnsMode: options.cgroupns ?? 'private',
    UTSMode: options.uts ?? 'private',
    GroupAdd: options.groups ?? [],
    CapAdd: options.capAdd ?? [],
    CapDrop: options.capDrop ?? [],
    Privileged: options.privileged ?? false,
    Sysctls: options.sysctls ?? {},
    Annotations: options.annotations ?? {},
    Ulimits: (options.ulimits ?? []).map(({ name, soft, hard }) => ({
      Name: name.toLowerCase(),
      Soft: soft,
      Hard: hard,
    })),
    Init: options.init ?? false,
    AutoRemove: options.autoRemove ?? false,
    RestartPolicy: { Name: restart?.name ?? 'no', MaximumRetryCount: restart?.maxRetries ?? 0 },
    LogConfig: { Type: (options.log ?? DEFAULT_LOG).driver },
    ReadonlyRootfs: options.readOnly ?? false,
    ShmSize: options.shmSize ?? DEFAULT_SHM_SIZE,
    CgroupParent: options.cgroupParent ?? '',
    OomScoreAdj: options.oomScoreAdj ?? 0,
    Memory: memory,
    MemorySwap: options.memorySwap || memory, // nothing beyond goes to swap
    MemoryReservation: options.memoryReservation ?? 0,
    MemorySwappiness: options.memorySwappiness ?? -1,
    OomKillDisable: options.oomKillDisable ?? false,
    BlkioWeight: options.blkioWeight ?? 0,
    BlkioWeightDevice: (options.deviceWeights ?? []).map(({ hostPath, weight }) => ({
      Path: hostPath,
      Weight: weight,
    })),
    BlkioDeviceReadBps: ratesOf(options, 'throttleReadBpsDevice'),
    BlkioDeviceWriteBps: ratesOf(options, 'throttleWriteBpsDevice'),
    BlkioDeviceReadIOps: ratesOf(options, 'throttleReadIOPSDevice'),
    BlkioDeviceWriteIOps: ratesOf(options, 'throttleWriteIOPSDevice'),
    CpuShares: options.cpuShares ?? 0,
    CpuPeriod: options.cpuPeriod ?? 0,
    CpuQuota: options.cpuQuota ?? 0,
    CpusetCpus: options.cpusetCpus ?? '',
    CpusetMems: options.cpusetMems ?? '',
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: pidsLimit,
  }
}

function ratesOf({ deviceRates = [] }: ContainerOptions, wanted: BlockIoRate) {
  return deviceRates
    .filter(({ kind }) => kind === wanted)
    .map(({ hostPath, rate }) => ({ Path: hostPath, Rate: rate }))
}

/** `INSIDE:HOST:SIZE`, as podman has it. */
function mapLines(mappings: readonly IdMapping[] = []): string[] {
  return mappings.map(({ containerID, hostID, size }) => `${containerID}:${hostID}:${size}`)
}
