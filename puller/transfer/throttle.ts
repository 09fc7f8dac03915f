import { setTimeout as sleep } from 'node:timers/promises'

const KiB = 1024

/** Bytes that are let through at once, at the most, so that nobody waits for long without any. */
const LARGEST_STEP = 256 * KiB

/** Counts bytes, and says how long to wait before there are more, in ms. */
export type Throttle = (bytes: number) => number

/** @param rate bytes per second. Default: no limit */
export function createThrottle(rate = Infinity): Throttle {
  let paidUntil = 0
  return (bytes) => {
    const now = performance.now()
    paidUntil = Math.max(paidUntil, now) + (bytes / rate) * 1000
    return paidUntil - now
  }
}

/** Bytes, no faster than their rate. Several streams may share a throttle. */
export async function* throttled(
  chunks: AsyncIterable<Buffer>,
  throttle: Throttle,
  { rate, signal }: { readonly rate: number; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const step = Math.max(1, Math.min(LARGEST_STEP, Math.floor(rate / 2)))
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += step) {
      const piece = chunk.subarray(at, at + step)
      const wait = throttle(piece.length)
      if (wait >= 1) await sleep(wait, undefined, { signal })
      yield piece
    }
  }
}
