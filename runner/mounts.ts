import type { Mount } from '#oci/runtime-spec.ts'
import { type IdMap, outsideId } from './userns/id-map.ts'
import { type HostDevice, isMounted } from './spec/devices.ts'
import type { ContainerOptions, PlacedVolume, Tmpfs } from './options.ts'

/** Where the first process of `init` is inside: on a file system that the runtime makes. */
export const INIT_PATH = '/dev/init'

/** The same number on every distribution. */
const TTY_GROUP = 5

/** The host's facts that mounts depend on. */
export interface MountFacts {
  /** Host files to mount, by their path inside. */
  readonly etcFiles: Readonly<Record<string, string>>
  readonly volumes: readonly PlacedVolume[]
  readonly recursiveReadOnly: boolean
  readonly initPath?: string | undefined
  /** Where another container's /dev/shm is. */
  readonly shmPath?: string | undefined
  readonly idMap?: IdMap | undefined
  readonly devices?: readonly HostDevice[] | undefined
  readonly userNamespace?: object | undefined
}

/** Of /dev/shm, in bytes. */
export const DEFAULT_SHM_SIZE = 64 * 2 ** 20

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
    `gid=${TTY_GROUP}`,
  ]),
  kernelMount('/dev/shm', 'tmpfs', [
    ...['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${DEFAULT_SHM_SIZE / 1024}k`],
  ]),
  kernelMount('/dev/mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
  kernelMount('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
  kernelMount('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']),
]

const HOST_SYS = bindMount('/sys', '/sys', ['nosuid', 'noexec', 'nodev', 'ro'], 'rslave')

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

/** All mounts in the order they are made. What is asked for takes the place of a default one at the same path. */
export function buildMounts(options: ContainerOptions, facts: MountFacts): Mount[] {
  const volumes = facts.volumes.map((volume) => volumeMount(volume, facts.recursiveReadOnly))
  const wanted = [...volumes, ...(options.tmpfs ?? []).map(tmpfsMount)]
  const taken = new Set(wanted.map((mount) => mount.destination))
  const files = Object.entries(facts.etcFiles).map(([destination, source]) =>
    bindMount(destination, source, options.readOnly ? ['ro'] : ['rw']),
  )
  const init = facts.initPath === undefined ? [] : [bindMount(INIT_PATH, facts.initPath, ['ro'])]
  const devices = facts.idMap === undefined ? [] : (facts.devices ?? []).filter(isMounted)
  const nodes = devices.map(({ node, hostPath }) => bindMount(node.path, hostPath, []))
  const defaults = [...defaultMounts(options, facts), ...files, ...init, ...nodes]
  return [...defaults.filter((mount) => !taken.has(mount.destination)), ...wanted.toSorted(byDepth)]
}

function defaultMounts(
  options: ContainerOptions,
  { idMap, userNamespace, shmPath }: MountFacts,
): Mount[] {
  const { shmSize, ipc, network, privileged } = options
  const hasTtyGroup = idMap === undefined || outsideId(idMap.gids, TTY_GROUP) !== undefined
  // A sysfs shows a network, and only who rules that one may mount it.
  const isForeign = network === 'host' && userNamespace !== undefined
  const hasShm = ipc !== 'none'
  const mounts = DEFAULT_MOUNTS.filter(({ destination }) => hasShm || destination !== '/dev/shm')
  return mounts.map((mount) => {
    if (mount.destination === '/dev/pts' && !hasTtyGroup) return withoutOption(mount, /^gid=/)
    if (mount.destination === '/dev/shm') {
      if (ipc === 'host') return bindMount('/dev/shm', '/dev/shm', [])
      if (shmPath !== undefined) return bindMount('/dev/shm', shmPath, [])
      if (shmSize !== undefined) return withOption(mount, /^size=/, `size=${shmSize}`)
    }
    if (mount.destination === '/sys' && isForeign) return HOST_SYS
    const isKernels = ['/sys', '/sys/fs/cgroup'].includes(mount.destination)
    return privileged && isKernels ? withOption(mount, /^ro$/, 'rw') : mount
  })
}

function withOption(mount: Mount, pattern: RegExp, option: string): Mount {
  const others = withoutOption(mount, pattern)
  return { ...others, options: [...(others.options ?? []), option] }
}

function withoutOption(mount: Mount, pattern: RegExp): Mount {
  return { ...mount, options: (mount.options ?? []).filter((each) => !pattern.test(each)) }
}

/** What is below another mount is mounted after it. */
function byDepth(a: Mount, b: Mount): number {
  return a.destination.split('/').length - b.destination.split('/').length
}

/** Below a file is nothing to protect, and crun refuses `rro` there. */
function volumeMount(volume: PlacedVolume, recursiveReadOnly: boolean): Mount {
  const readOnly = recursiveReadOnly && volume.isDirectory ? ['ro', 'rro'] : ['ro']
  const { containerPath, hostPath, propagation, flags = [] } = volume
  const options = [...(volume.readOnly ? readOnly : ['rw']), ...flags]
  return bindMount(containerPath, hostPath, options, propagation)
}

function tmpfsMount({ containerPath, options }: Tmpfs): Mount {
  const defaults = ['nosuid', 'nodev', 'noexec'].filter(
    (name) => !options.includes(name.replace(/^no/, '')) && !options.includes(name),
  )
  return kernelMount(containerPath, 'tmpfs', [...defaults, ...options])
}

function bindMount(
  destination: string,
  source: string,
  options: readonly string[],
  propagation = 'rprivate',
): Mount {
  return { destination, type: 'bind', source, options: ['rbind', propagation, ...options] }
}

function kernelMount(destination: string, type: string, options: readonly string[]): Mount {
  return { destination, type, source: type, options }
}
