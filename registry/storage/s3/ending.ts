import type { Digest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import type { UploadKey } from '../blob-driver.ts'
import { outOfOrder, uploadUnknown } from '../errors.ts'
import { verifyDigest } from '../verify.ts'
import { quietly, type S3Context } from './append.ts'
import { isSameData, type Pointers } from './pointers.ts'
import { readSegments, type Segment } from './segments.ts'
import type { Session } from './sessions.ts'

/** The ways in which an upload ends. */
export interface Ending {
  commit(key: UploadKey, digest: Digest): Promise<number>
  abort(key: UploadKey): Promise<void>
  /** Aborts an upload that is still open; forgets one that has ended, with all that requests of it left behind. */
  expire(key: UploadKey): Promise<void>
}

/**
 * Ends uploads by a last state that says how. It is published before anything else is done, so that no late writer
 * can add to the upload, and so that whoever finds it can finish what it says.
 */
export function createEnding(context: S3Context, pointers: Pointers): Ending {
  const { store, layout, sessions, hashes } = context

  async function deleteData(key: UploadKey, kept: readonly Segment[] = []): Promise<void> {
    const names = new Set(kept.map((segment) => segment.key))
    const objects = await store.list(layout.data(key), { limit: Number.POSITIVE_INFINITY })
    await store.delete(objects.map((object) => object.key).filter((name) => !names.has(name)))
  }

  /** Drops what the upload doesn't need once its bytes are a blob, or a copy of one. */
  async function tidy(key: UploadKey, session: Session, isBlob: boolean): Promise<void> {
    if (!isBlob) await deleteData(key)
    await sessions.prune(key, session)
  }

  /** Brings about what a committed state of another request says; false when the blob was deleted since. */
  async function settle(key: UploadKey, session: Session, digest: Digest): Promise<boolean> {
    const pointer = await pointers.restore(digest, session)
    if (pointer === undefined) return false
    await tidy(key, session, isSameData(pointer, session))
    return true
  }

  async function commit(key: UploadKey, digest: Digest): Promise<number> {
    const session = await sessions.latest(key)
    if (session === undefined || session.ended === 'aborted') throw uploadUnknown()
    const { sequence, size, segments, ended } = session
    if (ended !== undefined) {
      if (ended !== digest || !(await settle(key, session, digest))) throw uploadUnknown()
      return size
    }
    await verifyDigest(digest, { key, size }, hashes, () => readSegments(store, segments))
    const committed: Session = { sequence: sequence + 1, size, segments, ended: digest }
    if (!(await sessions.publish(key, committed))) throw outOfOrder(size, undefined)
    const pointer = await pointers.create(digest, { size, segments })
    await quietly(tidy(key, committed, isSameData(pointer, committed)))
    return size
  }

  async function abort(key: UploadKey): Promise<void> {
    hashes.drop(key)
    const session = await sessions.latest(key)
    if (session === undefined) return
    const { sequence, ended } = session
    if (ended === 'aborted') return tidy(key, session, false)
    if (ended !== undefined) return void (await settle(key, session, ended))
    const aborted: Session = { sequence: sequence + 1, size: 0, segments: [], ended: 'aborted' }
    if (await sessions.publish(key, aborted)) return tidy(key, aborted, false)
    return abort(key)
  }

  async function expire(key: UploadKey): Promise<void> {
    const session = await sessions.latest(key)
    if (session === undefined) return
    const { ended } = session
    if (ended === undefined) return abort(key)
    const pointer = ended === 'aborted' ? undefined : await pointers.restore(ended, session)
    const isBlob = pointer !== undefined && isSameData(pointer, session)
    await deleteData(key, isBlob ? session.segments : [])
    await sessions.prune(key, session)
    await store.delete([layout.state(key, session.sequence)])
  }

  return {
    abort,
    expire,
    async commit(key, digest) {
      try {
        return await commit(key, digest)
      } catch (error) {
        if (isDrayError(error, 'DIGEST_INVALID')) await abort(key)
        throw error
      }
    },
  }
}
