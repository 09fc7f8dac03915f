import type { Digest } from '#oci/digest.ts'
import type { BlobDriver } from '../blob-driver.ts'
import { blobUnknown, outOfOrder } from '../errors.ts'
import { createRunningHashes, type HashPeers, startHash } from '../running-hashes.ts'
import { appendToSession, type S3Context } from './append.ts'
import { createEnding } from './ending.ts'
import { expireUploads } from './expire.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import { createPartBuffers } from './part-buffers.ts'
import { createPointers, type Pointers } from './pointers.ts'
import type { Presigner } from './presign.ts'
import { putBlob } from './put.ts'
import { SEGMENT_SIZES, type SegmentSizes } from './segment-writer.ts'
import { readSegments } from './segments.ts'
import { createSessions } from './sessions.ts'

export interface S3BlobDriverOptions {
  /** Default: this is the only process. */
  readonly peers?: HashPeers | undefined
  /** Default: as few objects and as little memory as S3 allows. */
  readonly sizes?: SegmentSizes | undefined
  /** Parts in memory at any time, over all uploads of this process. Default: 12, which are 60 MiB. */
  readonly partBuffers?: number | undefined
  /** How long a slow upload may keep memory that others wait for. Default: 5 s. */
  readonly holdMs?: number | undefined
  /** How long this process may go on showing a blob that another one has deleted from the bucket. Default: 1 minute. */
  readonly pointerTtlMs?: number | undefined
  /** Sends clients to the objects themselves. Default: they get everything from this process. */
  readonly presigner?: Presigner | undefined
}

/**
 * Keeps blobs in a bucket, without copying them: bytes go to the objects where they stay, and committing them is
 * creating one small pointer. The bucket is the only state; any number of processes may share it.
 */
export function createS3BlobDriver(
  store: ObjectStore,
  layout: S3Layout,
  options: S3BlobDriverOptions = {},
): BlobDriver {
  const { sizes = SEGMENT_SIZES, partBuffers = 12, holdMs, pointerTtlMs = 60_000 } = options
  const { presigner } = options
  const pointers = createPointers(store, layout, pointerTtlMs)
  const sessions = createSessions(store, layout)
  const hashes = createRunningHashes(options.peers)
  const buffers = createPartBuffers({ partSize: sizes.partSize, count: partBuffers, holdMs })
  const context: S3Context = { store, layout, sizes, sessions, hashes, buffers }
  const { commit, abort, expire } = createEnding(context, pointers)
  return {
    async stat(digest) {
      const pointer = await pointers.recall(digest)
      return pointer === undefined ? undefined : { size: pointer.size }
    },
    async read(digest, range) {
      const pointer = await pointers.recall(digest)
      if (pointer === undefined) throw blobUnknown(digest)
      return readSegments(store, pointer.segments, range)
    },
    ...(presigner === undefined
      ? {}
      : { presign: (digest) => presign(pointers, presigner, digest) }),
    put: (digest, source, { signal } = {}) =>
      putBlob(context, pointers, { digest, source, signal }),
    delete: pointers.delete,
    async createUpload(key, options = {}) {
      const isNew = await sessions.publish(key, { sequence: 0, size: 0, segments: [] })
      if (!isNew) throw outOfOrder(0, undefined)
      hashes.keep(key, startHash(options.algorithm))
    },
    async uploadSize(key) {
      const session = await sessions.latest(key)
      return session === undefined || session.ended !== undefined ? undefined : session.size
    },
    append: (key, offset, source, { signal } = {}) =>
      appendToSession(context, { key, offset, source, signal }),
    commit,
    abort,
    expireUploads: (idleMs) => expireUploads(context, expire, new Date(Date.now() - idleMs)),
    async close() {
      presigner?.close()
      store.close()
    },
  }
}

/** Only a blob that is one object, and not a small one, has a URL. */
async function presign(
  pointers: Pointers,
  presigner: Presigner,
  digest: Digest,
): Promise<string | undefined> {
  const { segments, size } = (await pointers.recall(digest)) ?? { segments: [], size: 0 }
  const [only, ...more] = segments
  const hasUrl = only !== undefined && more.length === 0 && size >= presigner.minBytes
  return hasUrl ? presigner.sign(only.key) : undefined
}
