import { setTimeout as sleep } from 'node:timers/promises'
import pLimit, { type LimitFunction } from 'p-limit'
import type { HostLimits } from '../registry/remote-host.ts'
import { createThrottle, type Throttle } from './throttle.ts'
import { Tuner } from './tuner.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** Requests under way at once, at the most, by default. */
const MAX_CONNECTIONS = 8

/** Size of a range before anything has been measured, in bytes. */
const UNMEASURED_RANGE = 8 * MiB
/** Size of the first range of a blob: its answer only has to tell how to go on. */
const FIRST_RANGE = MiB
/** Smaller ranges cost more in round trips than they gain, larger ones wait too long for a slow connection. */
const LEAST_RANGE = MiB
const LARGEST_RANGE = 32 * MiB
/**
 * What one connection may take for one range, in seconds, and what it takes at least: each range costs the server as much as
 * megabytes do.
 */
const RANGE_SECONDS = 1
const LEAST_SECONDS = 0.1
/** A connection for less than this, in bytes per second, would only wait for its turn. */
const LEAST_RATE = 256 * KiB

/** Limits of all hosts together. By default there are 8 connections, and any number of bytes per second. */
export interface ConnectionOptions extends HostLimits {
  /** Size of every range, in bytes. Default: found by measuring. */
  readonly rangeSize?: number | undefined
}

/** The connections of a transfer, shared by all its blobs. */
export interface Connections {
  /** The most that there may be, to all hosts together. */
  readonly most: number
  /** Those to one host. */
  to(host: HostLimits & { readonly name: string }): HostConnections
}

/** The connections to one host: how many there are is found by measuring. */
export interface HostConnections {
  /** Sends a request when a connection is free for it; ends when its answer was read. */
  run<T>(request: () => Promise<T>): Promise<T>
  /** Size of the first range of a blob, in bytes. */
  readonly firstRange: number
  /** Size of the next range of a blob of which `left` bytes are to be asked for. */
  rangeSize(left: number): number
  /** Tells that bytes arrived. A promise asks to wait before more are read. */
  received(bytes: number, signal: AbortSignal): Promise<void> | undefined
  /** Tells that the host wants fewer requests. */
  easeOff(): void
}

export function createConnections(options: ConnectionOptions = {}): Connections {
  const { limitRate, rangeSize } = options
  const most = mostOf(options, MAX_CONNECTIONS)
  const shared = { total: pLimit(most), throttle: createThrottle(limitRate), rangeSize }
  const hosts = new Map<string, HostConnections>()
  return {
    most,
    to(host) {
      const known = hosts.get(host.name)
      const connections = known ?? createHostConnections(mostOf(host, most), host, shared)
      if (known === undefined) hosts.set(host.name, connections)
      return connections
    },
  }
}

/** Connections that limits allow, and that are worth it. */
function mostOf({ maxConnections = Infinity, limitRate = Infinity }: HostLimits, most: number) {
  return Math.max(1, Math.min(maxConnections, most, Math.floor(limitRate / LEAST_RATE)))
}

/** What the connections to all hosts have together. */
interface Shared extends Pick<ConnectionOptions, 'rangeSize'> {
  readonly total: LimitFunction
  readonly throttle: Throttle
}

function createHostConnections(
  most: number,
  { limitRate }: HostLimits,
  { total, throttle, rangeSize }: Shared,
): HostConnections {
  const tuner = new Tuner(most)
  const limit = pLimit(tuner.connections)
  const own = createThrottle(limitRate)
  const adjust = () => {
    if (limit.concurrency !== tuner.connections) limit.concurrency = tuner.connections
  }
  return {
    run: (request) => limit(() => total(request)),
    firstRange: rangeSize ?? FIRST_RANGE,
    rangeSize(left) {
      if (rangeSize !== undefined) return rangeSize
      const { rate, connections } = tuner
      const fair = Math.ceil(left / (2 * connections))
      if (rate === undefined) return Math.max(LEAST_RANGE, Math.min(UNMEASURED_RANGE, fair))
      const each = Math.ceil(rate / connections)
      const most = Math.min(LARGEST_RANGE, each * RANGE_SECONDS)
      return Math.max(LEAST_RANGE, Math.min(most, Math.max(fair, Math.ceil(each * LEAST_SECONDS))))
    },
    received(bytes, signal) {
      tuner.received(bytes, performance.now(), limit.activeCount >= tuner.connections)
      adjust()
      const wait = Math.max(throttle(bytes), own(bytes))
      return wait < 1 ? undefined : sleep(wait, undefined, { signal })
    },
    easeOff() {
      tuner.easeOff(performance.now())
      adjust()
    },
  }
}
