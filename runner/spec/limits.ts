import { DrayError } from '#oci/error.ts'
import type { Resources, Rlimit } from '#oci/runtime-spec.ts'
import type { ContainerOptions, Ulimit } from '../options.ts'
import { type HostDevice, ruleOf } from './devices.ts'

const DEFAULT_PIDS_LIMIT = 2048 // podman's default too
const CPU_PERIOD_MICROS = 100_000

// What systemd gives services: small enough for programs that walk all of them, and any program may raise it.
const OPEN_FILES = { soft: 1024, hard: 524_288 }

/** RLIM_INFINITY, 2^64 - 1, is this number to JavaScript; {@link specText} writes it as it is. */
const NO_LIMIT = 2 ** 64

const NAMES = [
  'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK',
].flatMap((line) => line.split(' '))

/** Parses `NAME=SOFT[:HARD]`, such as `nofile=1024:2048`; -1 for no limit. @throws USAGE */
export function parseUlimit(text: string): Ulimit {
  const match = /^([a-z]+)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text)
  const name = match?.[1]?.toUpperCase() ?? ''
  if (!NAMES.includes(name)) {
    const known = NAMES.map((each) => each.toLowerCase()).join(', ')
    throw new DrayError(
      'USAGE',
      `invalid limit ${JSON.stringify(text)}: write NAME=SOFT[:HARD], of ${known}`,
    )
  }
  const soft = Number(match?.[2])
  const hard = Number(match?.[3] ?? soft)
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw new DrayError('USAGE', `the soft limit of ${text} is above the hard one`)
  }
  return { name, soft, hard }
}

/** A spec, or a part of it, as JSON. */
export function specText(spec: object): string {
  const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown }
  return JSON.stringify(spec, (_, value) =>
    value === NO_LIMIT ? rawJSON(String(2n ** 64n - 1n)) : value,
  )
}

/** The limits of a container's processes. `openFiles` is the hard limit of this one, which can't be exceeded without root. */
export function buildRlimits(ulimits: readonly Ulimit[], openFiles: number): Rlimit[] {
  const wanted = ulimits.map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name}`,
    soft: soft === -1 ? NO_LIMIT : soft,
    hard: hard === -1 ? NO_LIMIT : hard,
  }))
  if (ulimits.some(({ name }) => name === 'NOFILE')) return wanted
  const hard = Math.min(OPEN_FILES.hard, openFiles)
  return [{ type: 'RLIMIT_NOFILE', soft: Math.min(OPEN_FILES.soft, hard), hard }, ...wanted]
}

/** Which controller of cgroups holds a container to a limit. */
const CONTROLLER_OF = {
  memory: 'memory',
  memorySwap: 'memory',
  memoryReservation: 'memory',
  memorySwappiness: 'memory',
  oomKillDisable: 'memory',
  deviceRates: 'io',
  blkioWeight: 'io',
  deviceWeights: 'io',
  cpus: 'cpu',
  cpuPeriod: 'cpu',
  cpuQuota: 'cpu',
  cpuShares: 'cpu',
  cpusetCpus: 'cpuset',
  cpusetMems: 'cpuset',
  pidsLimit: 'pids',
} as const satisfies Partial<Record<keyof ContainerOptions, string>>

/** The controllers that limits of a container need, of which there are none here. */
export function controllersWithout(
  options: ContainerOptions,
  controllers: readonly string[],
): string[] {
  const wanted = Object.entries(CONTROLLER_OF).filter(
    ([name]) => options[name as keyof typeof CONTROLLER_OF] !== undefined,
  )
  const missing = wanted.map(([, controller]) => controller)
  return [...new Set(missing)].filter((name) => !hasController(controllers, name))
}

/** cgroup v1 has another name for that of devices. */
function hasController(controllers: readonly string[], name: string): boolean {
  return controllers.includes(name) || (name === 'io' && controllers.includes('blkio'))
}

/** Options without the limits to which nothing holds a container here. */
export function limitsHeld(
  options: ContainerOptions,
  controllers: readonly string[] = Object.values(CONTROLLER_OF),
): ContainerOptions {
  const lost = Object.entries(CONTROLLER_OF).filter(([, name]) => !hasController(controllers, name))
  return { ...options, ...Object.fromEntries(lost.map(([name]) => [name, undefined])) }
}

/** What the cgroup of a container is held to. */
export function buildResources(
  options: ContainerOptions,
  limitsSwap: boolean,
  devices: readonly HostDevice[],
): Resources {
  const { pidsLimit = DEFAULT_PIDS_LIMIT } = options
  const [memory, cpu] = [memoryOf(options, limitsSwap), cpuOf(options)]
  const rules = options.privileged
    ? [{ allow: true, access: 'rwm' }]
    : [{ allow: false, access: 'rwm' }, ...devices.map(ruleOf), ...(options.deviceRules ?? [])]
  return {
    devices: rules,
    pids: { limit: pidsLimit },
    ...(memory !== undefined && { memory }),
    ...(cpu !== undefined && { cpu }),
  }
}

function memoryOf(options: ContainerOptions, limitsSwap: boolean): Resources['memory'] {
  const { memory, memorySwap, memoryReservation, memorySwappiness, oomKillDisable } = options
  const swap = memorySwap === undefined || memorySwap === 0 ? memory : memorySwap
  const limits = {
    ...(memory !== undefined && { limit: memory }),
    ...(limitsSwap && swap !== undefined && { swap }),
    ...(memoryReservation !== undefined && { reservation: memoryReservation }),
    ...(memorySwappiness !== undefined && { swappiness: memorySwappiness }),
    ...(oomKillDisable && { disableOOMKiller: true }),
  }
  return Object.keys(limits).length === 0 ? undefined : limits
}

function cpuOf(options: ContainerOptions): Resources['cpu'] {
  const { cpus, cpuPeriod, cpuQuota, cpuShares, cpusetCpus, cpusetMems } = options
  const cpu = {
    ...(cpus !== undefined && {
      quota: Math.round(cpus * CPU_PERIOD_MICROS),
      period: CPU_PERIOD_MICROS,
    }),
    ...(cpuPeriod !== undefined && { period: cpuPeriod }),
    ...(cpuQuota !== undefined && { quota: cpuQuota }),
    ...(cpuShares !== undefined && { shares: cpuShares }),
    ...(cpusetCpus !== undefined && { cpus: cpusetCpus }),
    ...(cpusetMems !== undefined && { mems: cpusetMems }),
  }
  return Object.keys(cpu).length === 0 ? undefined : cpu
}
