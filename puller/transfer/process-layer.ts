import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { type Digest, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import { errnoOf } from '#oci/errno.ts'
import { DrayError, type ErrorCode, errorMessage, isDrayError } from '#oci/error.ts'
import { errorIn } from '../error-in.ts'
import type { GunzipFor, Inflater } from '../layers/inflater.ts'
import type { UnpackResult, UnpackTarget } from '../layers/unpack.ts'
import type { LayerVerity } from '../store/layers.ts'
import { isUnreadable } from '../store/unreadable.ts'
import { forgetStart } from '../sys.ts'
import { enableVerity } from '../verity.ts'
import { type Prefix, waitFor } from './prefix.ts'

const CHUNK_SIZE = 1024 * 1024
/** Fewer bytes are read only at the end: inflating little by little costs more. */
const LEAST_CHUNK = CHUNK_SIZE / 4
/** How much of a blob stays in the page cache: what is pulled is read once, and others have use for the memory. */
const CACHED = 64 * CHUNK_SIZE
const FORGET_EVERY = 16 * CHUNK_SIZE
const CORES = availableParallelism()

/** What a thread is told when it starts. */
export interface ThreadData {
  readonly inflater: Inflater
  /** Whether it is started before there is work, and has time to load what unpacking takes. */
  readonly ahead: boolean
}

/** A blob to verify, and to inflate or unpack if it is a layer. */
export interface LayerJob {
  /** The file its bytes are in. */
  readonly path: string
  /** How much of the file is there. */
  readonly prefix: Prefix
  readonly digest: Digest
  /** Bytes of the blob. */
  readonly size: number
  readonly unpack?: UnpackJob | undefined
  /** How many threads work on layers, shared with them all: while they are fewer than cores, layers are inflated beside. */
  readonly busy?: Int32Array<SharedArrayBuffer> | undefined
}

export interface UnpackJob {
  /** Undefined to check the diffID alone. */
  readonly target: UnpackTarget | undefined
  readonly diffId: Digest
  readonly asRoot: boolean
  /** Whether what it is unpacked to gets fs-verity; for form erofs. Default false. */
  readonly verity?: boolean
}

/** What a layer was found to hold. */
export interface ProcessedLayer extends UnpackResult {
  readonly verity?: LayerVerity | undefined
}

export type LayerReply =
  | { readonly result: ProcessedLayer | undefined }
  | {
      readonly error: {
        readonly code: ErrorCode
        readonly message: string
        readonly retryable: boolean
        readonly detail: unknown
      }
    }

/**
 * Reads a blob while it arrives, checks its digest and, for a layer, unpacks it and checks its diffID.
 *
 * @param gunzipFor chooses what inflates it if it is gzip
 * @returns what was unpacked
 * @throws CONTENT_MISMATCH, DIFF_ID_MISMATCH, STORE_FAILED, and whatever unpacking throws; what was unpacked is worth nothing then
 */
export async function processLayer(
  job: LayerJob,
  gunzipFor: GunzipFor,
): Promise<ProcessedLayer | undefined> {
  try {
    return await verifyAndUnpack(job, gunzipFor)
  } catch (error) {
    throw isDrayError(error) ? errorIn(`layer ${job.digest}`, error) : storeFailure(error)
  }
}

async function verifyAndUnpack(
  job: LayerJob,
  gunzipFor: GunzipFor,
): Promise<ProcessedLayer | undefined> {
  const fd = reading(job, () => openSync(job.path, 'r'))
  try {
    const hash = createHash(digestAlgorithm(job.digest))
    const next = arrivingChunks(fd, job, hash)
    const drainAndCheck = async () => {
      while ((await next()) !== undefined);
      checkDigest(job.digest, finishDigest(digestAlgorithm(job.digest), hash))
    }
    if (job.unpack === undefined) {
      await drainAndCheck()
      return undefined
    }
    const { target, diffId, asRoot, verity = false } = job.unpack
    // It takes longer to load than many blobs take to hash.
    const { inflateLayer, unpackLayer } = await import('../layers/unpack.ts')
    const gunzip = gunzipFor(job.size, () => isCoreFree(job))
    const checked = async <T extends { readonly diffId: Digest }>(work: Promise<T>) => {
      const done = await work.catch(async (error: unknown) => {
        // Bytes that were damaged on the way rarely inflate: say so rather than blame the layer.
        await drainAndCheck()
        throw error
      })
      await drainAndCheck()
      checkDiffId(job.digest, diffId, done.diffId)
      return done
    }
    if (target === undefined) {
      await checked(inflateLayer(iterate(next), gunzip))
      return undefined
    }
    const unpacked = await checked(unpackLayer(iterate(next), target, { asRoot, gunzip }))
    if (!verity || target.form !== 'erofs') return unpacked
    const { tar, image } = target
    return { ...unpacked, verity: { tar: enableVerity(tar), image: enableVerity(image) } }
  } finally {
    closeSync(fd)
  }
}

function isCoreFree({ busy }: LayerJob): boolean {
  return busy !== undefined && Atomics.load(busy, 0) < CORES
}

function checkDiffId(blob: Digest, expected: Digest, actual: Digest): void {
  if (actual === expected) return
  throw new DrayError(
    'DIFF_ID_MISMATCH',
    `layer ${blob} unpacks to ${actual}, but the image config says ${expected}: the image is broken`,
  )
}

/** Loads what the first layer would wait for, but nothing native. What fails now fails again then. */
export function getReady(): void {
  import('../layers/unpack.ts').catch(() => undefined)
}

/** What goes wrong with a file, as the rest of the puller knows it. */
function storeFailure(error: unknown): DrayError {
  return new DrayError('STORE_FAILED', errorMessage(error), { detail: { errno: errnoOf(error) } })
}

type NextChunk = () => Promise<Buffer | undefined>

/**
 * The chunks of the blob in order, hashed, each as soon as it is there. A chunk is valid until the second one after it is
 * asked for: reading into fresh memory takes twice as long.
 */
function arrivingChunks(fd: number, job: LayerJob, hash: Hash): NextChunk {
  const size = Math.min(CHUNK_SIZE, job.size)
  let [buffer, other] = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)]
  let at = 0
  let forgotten = 0
  return async () => {
    if (at >= job.size) return undefined
    const available = await waitFor(job.prefix, Math.min(at + LEAST_CHUNK, job.size))
    if (available === undefined) {
      throw new DrayError('CONTENT_MISMATCH', `blob ${job.digest} did not arrive`)
    }
    ;[buffer, other] = [other, buffer]
    const length = Math.min(size, available - at)
    const read = reading(job, () => readSync(fd, buffer, 0, length, at))
    const chunk = buffer.subarray(0, read)
    if (chunk.length === 0) {
      throw new DrayError('CONTENT_MISMATCH', `blob ${job.digest} has ${at} bytes, not ${job.size}`)
    }
    hash.update(chunk)
    at += chunk.length
    if (at - CACHED >= forgotten + FORGET_EVERY) {
      forgotten = at - CACHED
      forgetStart(fd, forgotten)
    }
    return chunk
  }
}

/** A blob that can't be read is as bad as one with other bytes, and mended in the same way. */
function reading<T>({ digest }: LayerJob, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!isUnreadable(cause)) throw cause
    const why = errorMessage(cause)
    throw new DrayError('CONTENT_MISMATCH', `blob ${digest} cannot be read: ${why}`, { cause })
  }
}

async function* iterate(next: NextChunk): AsyncGenerator<Buffer> {
  for (let chunk = await next(); chunk !== undefined; chunk = await next()) yield chunk
}

function checkDigest(expected: Digest, actual: Digest): void {
  if (actual === expected) return
  throw new DrayError(
    'CONTENT_MISMATCH',
    `the bytes of blob ${expected} are those of ${actual}: they were damaged on the way, or the registry is wrong`,
  )
}
