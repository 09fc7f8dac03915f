import pLimit from 'p-limit'
import type { BlobDriver } from '../blob-driver.ts'
import { blobUnknown, outOfOrder } from '../errors.ts'
import { createRunningHashes, startHash } from '../running-hashes.ts'
import { appendToSession, type S3Context } from './append.ts'
import { createEnding } from './ending.ts'
import { expireUploads } from './expire.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import { createPointers } from './pointers.ts'
import { putBlob } from './put.ts'
import { SEGMENT_SIZES, type SegmentSizes } from './segment-writer.ts'
import { readSegments } from './segments.ts'
import { createSessions } from './sessions.ts'

/** Parts on their way to the store at any time, over all uploads of this process. */
const PARTS_IN_FLIGHT = 16

/**
 * Keeps blobs in a bucket, without copying them: bytes go to the objects where they stay, and committing them is
 * creating one small pointer. The bucket is the only state; any number of processes may share it.
 */
export function createS3BlobDriver(
  store: ObjectStore,
  layout: S3Layout,
  sizes: SegmentSizes = SEGMENT_SIZES,
): BlobDriver {
  const pointers = createPointers(store, layout)
  const sessions = createSessions(store, layout)
  const hashes = createRunningHashes()
  const limit = pLimit(PARTS_IN_FLIGHT)
  const context: S3Context = { store, layout, sizes, sessions, hashes, limit }
  const { commit, abort } = createEnding(context, pointers)
  return {
    async stat(digest) {
      const pointer = await pointers.get(digest)
      return pointer === undefined ? undefined : { size: pointer.size }
    },
    async read(digest, range) {
      const pointer = await pointers.get(digest)
      if (pointer === undefined) throw blobUnknown(digest)
      return readSegments(store, pointer.segments, range)
    },
    put: (digest, source, { signal } = {}) => putBlob(context, pointers, digest, source, signal),
    async delete(digest) {
      const pointer = await pointers.get(digest)
      if (pointer === undefined) return
      await store.delete([layout.pointer(digest)])
      await store.delete(pointer.segments.map((segment) => segment.key))
    },
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
    expireUploads: (idleMs) => expireUploads(context, abort, new Date(Date.now() - idleMs)),
    async close() {
      store.close()
    },
  }
}
