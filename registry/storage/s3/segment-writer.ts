import { storageFailed } from '../errors.ts'
import type { Part } from './multiparts.ts'
import type { ObjectStore } from './object-store.ts'
import type { PartBuffer, PartBuffers } from './part-buffers.ts'
import type { Segment } from './segments.ts'

export interface SegmentSizes {
  /** Bytes of every part but the last. At least 5 MiB (S3). */
  readonly partSize: number
  /** Parts after which a new object is begun. At most 10,000 (S3). */
  readonly partsPerSegment: number
}

/** Equal parts, since R2 refuses others, and the smallest that S3 takes, since they wait in memory; objects of 48 GiB. */
export const SEGMENT_SIZES: SegmentSizes = { partSize: 5 * 1024 * 1024, partsPerSegment: 9830 }

const PARTS_IN_FLIGHT = 2

export interface SegmentWriterOptions {
  readonly store: ObjectStore
  /** Shared by all writers of a process, to bound its memory. */
  readonly buffers: PartBuffers
  readonly sizes: SegmentSizes
  /** Key of the n-th object that the writer makes, from 0. */
  readonly keyOf: (n: number) => string
  /** Told before an object may appear, and waited for: all objects up to that one. */
  readonly onSegment?: ((segments: readonly Segment[]) => Promise<void>) | undefined
}

interface Multipart {
  readonly key: string
  readonly uploadId: string
  readonly parts: Promise<Part>[]
  size: number
}

/** Bytes that are not yet on their way. */
interface Filling {
  readonly buffer: PartBuffer
  length: number
}

/**
 * Writes a stream to as few new objects as it takes: one `PutObject` when it all fits one part. An object ends early
 * only when the memory of a slow stream is wanted by others. The last object exists only after `finish`. Ends with
 * `finish` or `discard`.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  readonly #segments: Segment[] = []
  /** Of all objects that may have appeared, those too whose making failed. */
  readonly #keys: string[] = []
  readonly #inFlight = new Set<Promise<unknown>>()
  #failure: { readonly error: unknown } | undefined
  #filling: Filling | undefined
  #multipart: Multipart | undefined
  #cutting: Promise<void> = Promise.resolve()

  constructor(options: SegmentWriterOptions) {
    this.#options = options
  }

  /** Takes bytes; they are copied before it returns. */
  async write(bytes: Uint8Array): Promise<void> {
    const { partSize } = this.#options.sizes
    for (let at = 0; at < bytes.length; ) {
      await this.#settled()
      this.#filling ??= { buffer: await this.#options.buffers.take(() => this.#cut()), length: 0 }
      const filling = this.#filling
      const taken = Math.min(bytes.length - at, partSize - filling.length)
      filling.buffer.bytes.set(bytes.subarray(at, at + taken), filling.length)
      filling.length += taken
      at += taken
      if (filling.length === partSize) await this.#sendFull()
    }
  }

  /** Makes the bytes objects; none may follow. */
  async finish(): Promise<readonly Segment[]> {
    await this.#settled()
    await this.#complete()
    return this.#segments
  }

  /** Removes everything that was written, also after `finish`. */
  async discard(): Promise<void> {
    const { store } = this.#options
    await this.#cutting
    this.#filling?.buffer.release()
    this.#filling = undefined
    const multipart = this.#multipart
    this.#multipart = undefined
    await Promise.allSettled(this.#inFlight)
    if (multipart !== undefined) await store.abortMultipart(multipart.key, multipart.uploadId)
    await store.delete(this.#keys)
  }

  /** Ends the object here, which gives its memory back; the bytes that come next begin another one. */
  #cut(): void {
    this.#cutting = this.#complete().catch((error: unknown) => {
      this.#failure = { error }
    })
  }

  async #settled(): Promise<void> {
    await this.#cutting
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Announces an object before it is made, and counts it afterwards. */
  async #make(segment: Segment, work: () => Promise<unknown>): Promise<void> {
    await this.#options.onSegment?.([...this.#segments, segment])
    this.#keys.push(segment.key)
    await work()
    this.#segments.push(segment)
  }

  #nextKey(): string {
    return this.#options.keyOf(this.#segments.length)
  }

  /** What is filling, on its way from now on. */
  #seal(): Filling | undefined {
    const filling = this.#filling
    this.#filling = undefined
    filling?.buffer.seal()
    return filling
  }

  async #sendFull(): Promise<void> {
    const full = this.#seal()
    if (full === undefined) return
    const multipart = await this.#begun(full.buffer)
    this.#send(multipart, full)
    while (this.#inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(this.#inFlight)
    await this.#settled()
    if (multipart.parts.length >= this.#options.sizes.partsPerSegment) await this.#complete()
  }

  async #begun(buffer: PartBuffer): Promise<Multipart> {
    if (this.#multipart !== undefined) return this.#multipart
    const key = this.#nextKey()
    try {
      const uploadId = await this.#options.store.startMultipart(key)
      this.#multipart = { key, uploadId, parts: [], size: 0 }
      return this.#multipart
    } catch (error) {
      buffer.release()
      throw error
    }
  }

  #send(multipart: Multipart, { buffer, length }: Filling): void {
    const { key, uploadId, parts } = multipart
    const bytes = buffer.bytes.subarray(0, length)
    const part = this.#options.store
      .putPart(key, uploadId, parts.length + 1, bytes)
      .finally(() => buffer.release())
    parts.push(part)
    multipart.size += length
    const settled: Promise<unknown> = part.then(
      () => this.#inFlight.delete(settled),
      (error: unknown) => {
        this.#failure = { error }
        this.#inFlight.delete(settled)
      },
    )
    this.#inFlight.add(settled)
  }

  async #complete(): Promise<void> {
    const rest = this.#seal()
    const multipart = this.#multipart
    if (multipart === undefined) {
      if (rest !== undefined) await this.#putWhole(rest)
      return
    }
    if (rest !== undefined) this.#send(multipart, rest)
    const parts = await Promise.all(multipart.parts)
    const { key, size } = multipart
    await this.#make({ key, size }, () => completeMultipart(this.#options.store, multipart, parts))
    this.#multipart = undefined
  }

  async #putWhole({ buffer, length }: Filling): Promise<void> {
    const segment = { key: this.#nextKey(), size: length }
    try {
      const bytes = buffer.bytes.subarray(0, length)
      await this.#make(segment, () => this.#options.store.put(segment.key, bytes))
    } finally {
      buffer.release()
    }
  }
}

async function completeMultipart(
  store: ObjectStore,
  { key, uploadId, size }: Multipart,
  parts: readonly Part[],
): Promise<void> {
  try {
    await store.completeMultipart(key, uploadId, parts)
  } catch (error) {
    // The answer to an earlier try may have been lost: then the object is there.
    if ((await store.size(key)) !== size) throw error
  }
  if ((await store.size(key)) !== size)
    throw storageFailed('keep all bytes of an object', undefined)
}
