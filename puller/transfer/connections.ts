import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { Tuner } from './tuner.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** Requests to one host under way at once, at the most, by default. */
const MAX_CONNECTIONS = 8

/** Size of a range before anything has been measured, in bytes. */
const UNMEASURED_RANGE = 8 * MiB
/** Size of the first range of a blob: its answer only has to tell how to go on. */
const FIRST_RANGE = MiB
/** Smaller ranges cost more in round trips than they gain, larger ones wait too long for a slow connection. */
const LEAST_RANGE = MiB
const LARGEST_RANGE = 32 * MiB
/** What one connection may take for one range, in seconds. */
const RANGE_SECONDS = 1
/** A connection for less than this, in bytes per second, would only wait for its turn. */
const LEAST_RATE = 256 * KiB

export interface ConnectionOptions {
  /** Requests under way at once, at the most. Default 8. */
  readonly maxConnections?: number | undefined
  /** Bytes per second of all connections together. Default: no limit. */
  readonly limitRate?: number | undefined
  /** Size of every range, in bytes. Default: found by measuring. */
  readonly rangeSize?: number | undefined
}

/** The connections to one host, shared by all blobs that come from it: how many there are is found by measuring. */
export interface Connections {
  /** The most that there may be. */
  readonly most: number
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
  const { maxConnections = MAX_CONNECTIONS, limitRate = Infinity } = options
  const most = Math.max(1, Math.min(maxConnections, Math.floor(limitRate / LEAST_RATE)))
  const tuner = new Tuner(most)
  const limit = pLimit(tuner.connections)
  const adjust = () => {
    if (limit.concurrency !== tuner.connections) limit.concurrency = tuner.connections
  }
  let paidUntil = 0
  return {
    most,
    run: (request) => limit(request),
    firstRange: options.rangeSize ?? FIRST_RANGE,
    rangeSize(left) {
      if (options.rangeSize !== undefined) return options.rangeSize
      const { rate, connections } = tuner
      const fair = Math.ceil(left / (2 * connections))
      const fast = rate === undefined ? UNMEASURED_RANGE : (rate / connections) * RANGE_SECONDS
      return Math.max(LEAST_RANGE, Math.min(LARGEST_RANGE, Math.ceil(fast), fair))
    },
    received(bytes, signal) {
      const now = performance.now()
      tuner.received(bytes, now, limit.activeCount >= tuner.connections)
      adjust()
      paidUntil = Math.max(paidUntil, now) + (bytes / limitRate) * 1000
      const wait = paidUntil - now
      return wait < 1 ? undefined : sleep(wait, undefined, { signal })
    },
    easeOff() {
      tuner.easeOff(performance.now())
      adjust()
    },
  }
}
