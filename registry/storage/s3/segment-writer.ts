import type { LimitFunction } from 'p-limit'
import { storageFailed } from '../errors.ts'
import type { Part } from './multiparts.ts'
import type { ObjectStore } from './object-store.ts'
import type { Segment } from './segments.ts'

export interface SegmentSizes {
  /** Bytes of every part but the last; also of the blocks that a writer is given. At least 5 MiB (S3). */
  readonly partSize: number
  /** Parts after which a new object is begun. At most 10,000 (S3). */
  readonly partsPerSegment: number
}

/** Equal parts, since R2 refuses others; objects of 64 GiB at most, of the 10,000 parts and 5 TiB that S3 allows. */
export const SEGMENT_SIZES: SegmentSizes = { partSize: 8 * 1024 * 1024, partsPerSegment: 8192 }

const PARTS_IN_FLIGHT = 2

export interface SegmentWriterOptions {
  readonly store: ObjectStore
  /** Shared by all writers of a process, to bound its memory. */
  readonly limit: LimitFunction
  readonly sizes: SegmentSizes
  /** Key of the n-th object that the writer makes, from 0. */
  readonly keyOf: (n: number) => string
}

interface Multipart {
  readonly key: string
  readonly uploadId: string
  readonly parts: Promise<Part>[]
  size: number
}

/**
 * Writes a stream of blocks to as few new objects as it takes: one `PutObject` when it all fits one part. The last
 * object exists only after `finish`. Holds at most three parts in memory. Ends with `finish` or `discard`.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  readonly #segments: Segment[] = []
  readonly #inFlight = new Set<Promise<unknown>>()
  #failure: { readonly error: unknown } | undefined
  #first: Buffer | undefined
  #multipart: Multipart | undefined

  constructor(options: SegmentWriterOptions) {
    this.#options = options
  }

  /** Takes a block of exactly `partSize` bytes; the last one may be shorter. */
  async write(block: Buffer): Promise<void> {
    if (this.#multipart === undefined && this.#first === undefined) {
      this.#first = block
      return
    }
    const multipart = this.#multipart ?? (await this.#begin())
    await this.#send(multipart, block)
    if (multipart.parts.length >= this.#options.sizes.partsPerSegment) await this.#complete()
  }

  /** Makes the bytes objects; no block may follow. */
  async finish(): Promise<readonly Segment[]> {
    await this.#complete()
    return this.#segments
  }

  /** Removes everything that was written, also after `finish`. */
  async discard(): Promise<void> {
    const { store } = this.#options
    const multipart = this.#multipart
    this.#multipart = undefined
    this.#first = undefined
    await Promise.allSettled(this.#inFlight)
    if (multipart !== undefined) await store.abortMultipart(multipart.key, multipart.uploadId)
    await store.delete(this.#segments.map(({ key }) => key))
  }

  #nextKey(): string {
    return this.#options.keyOf(this.#segments.length)
  }

  async #begin(): Promise<Multipart> {
    const key = this.#nextKey()
    const uploadId = await this.#options.store.startMultipart(key)
    const multipart: Multipart = { key, uploadId, parts: [], size: 0 }
    this.#multipart = multipart
    const first = this.#first
    this.#first = undefined
    if (first !== undefined) await this.#send(multipart, first)
    return multipart
  }

  /** Waits until there is room for the next block, not until this one has arrived. */
  async #send(multipart: Multipart, block: Buffer): Promise<void> {
    const { store, limit } = this.#options
    const { key, uploadId, parts } = multipart
    const number = parts.length + 1
    const part = limit(() => store.putPart(key, uploadId, number, block))
    parts.push(part)
    multipart.size += block.length
    const settled: Promise<unknown> = part.then(
      () => this.#inFlight.delete(settled),
      (error: unknown) => {
        this.#failure = { error }
        this.#inFlight.delete(settled)
      },
    )
    this.#inFlight.add(settled)
    while (this.#inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(this.#inFlight)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #complete(): Promise<void> {
    const { store } = this.#options
    if (this.#first !== undefined) {
      const segment = { key: this.#nextKey(), size: this.#first.length }
      await store.put(segment.key, this.#first)
      this.#segments.push(segment)
      this.#first = undefined
    }
    if (this.#multipart === undefined) return
    const { key, uploadId, parts, size } = this.#multipart
    const done = await Promise.all(parts)
    try {
      await store.completeMultipart(key, uploadId, done)
    } catch (error) {
      // The answer to an earlier try may have been lost: then the object is there.
      if ((await store.size(key)) !== size) throw error
    }
    if ((await store.size(key)) !== size)
      throw storageFailed('keep all bytes of an object', undefined)
    this.#segments.push({ key, size })
    this.#multipart = undefined
  }
}
