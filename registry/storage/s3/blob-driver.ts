import { randomUUID } from 'node:crypto'
import pLimit from 'p-limit'
import { type Digest, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import type { BlobDriver, UploadKey } from '../blob-driver.ts'
import { blocksOf } from '../blocks.ts'
import { blobUnknown, outOfOrder, uploadUnknown } from '../errors.ts'
import { createRunningHashes, startHash } from '../running-hashes.ts'
import { checkDigest, verifyDigest } from '../verify.ts'
import { appendToSession, type S3Context } from './append.ts'
import { expireUploads } from './expire.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import { createPointers, isSameData } from './pointers.ts'
import { SEGMENT_SIZES, type SegmentSizes, SegmentWriter } from './segment-writer.ts'
import { readSegments } from './segments.ts'
import { createSessions, type Session } from './sessions.ts'

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
  const context: S3Context = {
    ...{ store, layout, sizes, sessions },
    hashes: createRunningHashes(),
    limit: pLimit(PARTS_IN_FLIGHT),
  }
  const { hashes, limit } = context

  /** Brings about what a committed state says, whoever published it, as often as anybody asks. */
  async function settle(key: UploadKey, session: Session, digest: Digest): Promise<boolean> {
    const pointer = await pointers.point(digest, session)
    if (pointer === undefined) return false
    if (!isSameData(pointer, session)) await deleteData(key)
    await sessions.prune(key, session)
    return true
  }

  async function deleteData(key: UploadKey): Promise<void> {
    const objects = await store.list(layout.data(key), { limit: Number.POSITIVE_INFINITY })
    await store.delete(objects.map((object) => object.key))
  }

  async function commit(key: UploadKey, digest: Digest): Promise<number> {
    const session = await sessions.latest(key)
    if (session === undefined || session.ended === 'aborted') throw uploadUnknown()
    const { sequence, size, segments, ended } = session
    if (ended !== undefined) {
      if (ended !== digest || !(await settle(key, session, digest))) throw uploadUnknown()
      return size
    }
    const running = hashes.take(key, size)
    await verifyDigest(digest, size, running, () => readSegments(store, segments))
    const committed: Session = { sequence: sequence + 1, size, segments, ended: digest }
    if (await sessions.publish(key, committed)) await settle(key, committed, digest)
    else throw outOfOrder(size, undefined)
    return size
  }

  async function abort(key: UploadKey): Promise<void> {
    hashes.drop(key)
    for (;;) {
      const session = await sessions.latest(key)
      if (session === undefined) return
      const { sequence, ended } = session
      if (ended !== undefined && ended !== 'aborted') {
        await settle(key, session, ended)
        return
      }
      const aborted: Session =
        ended === 'aborted'
          ? session
          : { sequence: sequence + 1, size: 0, segments: [], ended: 'aborted' }
      if (aborted !== session && !(await sessions.publish(key, aborted))) continue
      await deleteData(key)
      await sessions.prune(key, aborted)
      return
    }
  }

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
    async put(digest, source, { signal } = {}) {
      const key = `put-${randomUUID()}` as UploadKey
      const keyOf = (n: number) => layout.dataObject(key, n, randomUUID())
      const writer = new SegmentWriter({ store, limit, sizes, keyOf })
      const algorithm = digestAlgorithm(digest)
      const { hash } = startHash(algorithm)
      let size = 0
      try {
        for await (const block of blocksOf(source, sizes.partSize)) {
          signal?.throwIfAborted()
          const written = writer.write(block)
          hash.update(block)
          size += block.length
          await written
        }
        checkDigest(digest, finishDigest(algorithm, hash))
        const blob = { size, segments: await writer.finish() }
        const pointer = await pointers.create(digest, blob)
        if (!isSameData(pointer, blob)) await writer.discard()
        return size
      } catch (error) {
        await writer.discard()
        throw error
      }
    },
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
    async commit(key, digest) {
      try {
        return await commit(key, digest)
      } catch (error) {
        if (isDrayError(error, 'DIGEST_INVALID')) await abort(key)
        throw error
      }
    },
    abort,
    expireUploads: (idleMs) => expireUploads(context, abort, new Date(Date.now() - idleMs)),
    async close() {
      store.close()
    },
  }
}
