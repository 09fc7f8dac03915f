import { isDrayError } from '#oci/error.ts'
import type { ByteRange, ByteSource } from '../blob-driver.ts'
import { storageFailed } from '../errors.ts'
import type { ObjectStore } from './object-store.ts'

/** Bytes of a blob that are one object. A blob is its segments, in order. */
export interface Segment {
  readonly key: string
  /** Bytes; never 0. */
  readonly size: number
}

const READ_ATTEMPTS = 4

/** The part of each segment that a range of the whole touches, in order. */
export function sliceSegments(
  segments: readonly Segment[],
  range: ByteRange,
): { readonly key: string; readonly range: ByteRange }[] {
  const slices: { key: string; range: ByteRange }[] = []
  let position = 0
  for (const { key, size } of segments) {
    const start = Math.max(range.start - position, 0)
    const end = Math.min(range.end - position, size - 1)
    if (start <= end) slices.push({ key, range: { start, end } })
    position += size
  }
  return slices
}

/** Streams a range of segments; a connection that breaks is taken up again where it broke. */
export async function* readSegments(
  store: ObjectStore,
  segments: readonly Segment[],
  range: ByteRange = { start: 0, end: Number.POSITIVE_INFINITY },
): AsyncGenerator<Uint8Array> {
  for (const slice of sliceSegments(segments, range))
    yield* readSlice(store, slice.key, slice.range)
}

async function* readSlice(
  store: ObjectStore,
  key: string,
  range: ByteRange,
): AsyncGenerator<Uint8Array> {
  let at = range.start
  for (let attempt = 1; ; attempt++) {
    try {
      const body: ByteSource = await store.open(key, { start: at, end: range.end })
      for await (const chunk of body) {
        at += chunk.length
        yield chunk
      }
      if (at > range.end) return
      throw new Error('the object ended early')
    } catch (error) {
      if (isDrayError(error) || attempt === READ_ATTEMPTS) {
        throw storageFailed('read the bytes of a blob', error)
      }
    }
  }
}

const KiB = 1024
const MERGE_COUNT = 16
/** Sizes below which a segment is of a tier. Each is 16 times the one before it, so that a byte is copied 3 times. */
const TIERS = [16 * KiB, 256 * KiB, 4096 * KiB]

/**
 * How many of the last segments the next append should write again, as one with its own bytes: those of a tier,
 * once there are 16 of them. So chunks of any size end up in few objects, and are copied a bounded number of times.
 */
export function mergeCount(segments: readonly Segment[]): number {
  for (let tier = TIERS.length - 1; tier >= 0; tier--) {
    const below = TIERS[tier] ?? 0
    const from = TIERS[tier - 1] ?? 0
    const firstLarge = segments.findLastIndex(({ size }) => size >= below)
    const tail = segments.slice(firstLarge + 1)
    if (tail.filter(({ size }) => size >= from).length >= MERGE_COUNT) return tail.length
  }
  return 0
}
