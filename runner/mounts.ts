import type { Mount } from '#oci/runtime-spec.ts'
import type { ContainerOptions, PlacedVolume, Volume } from './options.ts'

/** The host's facts that mounts depend on. */
export interface MountFacts {
  /** Host files to mount, by their path inside. */
  readonly etcFiles: Readonly<Record<string, string>>
  readonly volumes: readonly PlacedVolume[]
  readonly recursiveReadOnly: boolean
}

/** File systems that every program expects (runtime-spec, config-linux.md "Default Filesystems"), none of them the host's. */
const DEFAULT_MOUNTS: readonly Mount[] = [
  kernelMount('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
  kernelMount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
  kernelMount('/dev/pts', 'devpts', [
    'nosuid',
    'noexec',
    'newinstance',
    'ptmxmode=0666',
    'mode=0620',
    'gid=5', // tty, the same number on every distribution
  ]),
  kernelMount('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']),
  kernelMount('/dev/mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
  kernelMount('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
  kernelMount('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']),
]

// Each tells about the host, or changes it, from inside a container that otherwise sees only itself.
const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]

/** Parts of /proc that stay readable and cannot be written. */
export const READ_ONLY_PATHS = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]

/** Paths that are empty inside. */
export function maskedPaths(thermalPaths: readonly string[]): string[] {
  return [...MASKED_PATHS, ...thermalPaths]
}

/** All mounts in the order they are made. A volume takes the place of a default one at the same path. */
export function buildMounts(options: ContainerOptions, facts: MountFacts): Mount[] {
  const taken = new Set(facts.volumes.map((volume) => volume.containerPath))
  const files = Object.entries(facts.etcFiles).map(([destination, source]) =>
    bindMount(destination, source, options.readOnly ? ['ro'] : ['rw']),
  )
  return [
    ...[...DEFAULT_MOUNTS, ...files].filter((mount) => !taken.has(mount.destination)),
    ...facts.volumes
      .toSorted(byDepth)
      .map((volume) => volumeMount(volume, facts.recursiveReadOnly)),
  ]
}

/** A volume below another one is mounted after it. */
function byDepth(a: Volume, b: Volume): number {
  return a.containerPath.split('/').length - b.containerPath.split('/').length
}

/** Below a file is nothing to protect, and crun refuses `rro` there. */
function volumeMount(volume: PlacedVolume, recursiveReadOnly: boolean): Mount {
  const readOnly = recursiveReadOnly && volume.isDirectory ? ['ro', 'rro'] : ['ro']
  return bindMount(volume.containerPath, volume.hostPath, volume.readOnly ? readOnly : ['rw'])
}

function bindMount(destination: string, source: string, options: readonly string[]): Mount {
  return { destination, type: 'bind', source, options: ['rbind', 'rprivate', ...options] }
}

function kernelMount(destination: string, type: string, options: readonly string[]): Mount {
  return { destination, type, source: type, options }
}
