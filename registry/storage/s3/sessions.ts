import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import { type Digest, parseDigest } from '#oci/digest.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import type { UploadKey } from '../blob-driver.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import type { Segment } from './segments.ts'

/** How an upload stands after `sequence` changes. */
export interface Session {
  readonly sequence: number
  readonly size: number
  readonly segments: readonly Segment[]
  /** No further state follows. With a digest the bytes were verified and are, or are to be, that blob. */
  readonly ended?: Digest | 'aborted' | undefined
}

export interface Sessions {
  /** The newest state that this process knows of, which others may have overtaken. */
  cached(key: UploadKey): Session | undefined
  latest(key: UploadKey): Promise<Session | undefined>
  /** Makes `session` the newest state. False when another writer has made one of the same sequence. */
  publish(key: UploadKey, session: Session): Promise<boolean>
  /** Drops all states before the last one, which stays to refuse late writers until the upload expires. */
  prune(key: UploadKey, last: Session): Promise<void>
  /** Drops the first `count` states, of an upload that nobody else writes to. */
  forget(key: UploadKey, count: number): Promise<void>
}

const MOST_CACHED = 1000
const STATE_LIMIT = 64 * 1024 * 1024

export const segmentSchema = z.object({ key: z.string(), size: z.int().min(1) })

const sessionSchema = z.object({
  size: z.int().min(0),
  segments: z.array(segmentSchema),
  ended: z.string().optional(),
})

/**
 * The states of uploads, each one write-once object: of several writers that would follow the same state, the store
 * lets exactly one.
 */
export function createSessions(store: ObjectStore, layout: S3Layout): Sessions {
  const cache = new LRUCache<UploadKey, Session>({ max: MOST_CACHED })

  async function latest(key: UploadKey): Promise<Session | undefined> {
    for (;;) {
      const [newest] = await store.list(layout.states(key), { limit: 1 })
      if (newest === undefined) return undefined
      const object = await store.get(newest.key)
      // A state vanishes only when a later one has come, or the upload has expired.
      if (object === undefined) continue
      const session = parseSession(object.bytes, layout.parseState(newest.key).sequence)
      cache.set(key, session)
      return session
    }
  }

  return {
    cached: (key) => cache.get(key),
    latest,
    async publish(key, session) {
      const { sequence, ...state } = session
      const bytes = Buffer.from(JSON.stringify(state))
      const isOurs = await store.put(layout.state(key, sequence), bytes, { ifAbsent: true })
      if (isOurs) cache.set(key, session)
      else cache.delete(key)
      return isOurs
    },
    async prune(key, last) {
      cache.delete(key)
      const keep = layout.state(key, last.sequence)
      const states = await store.list(layout.states(key), { limit: Number.POSITIVE_INFINITY })
      await store.delete(states.map((state) => state.key).filter((state) => state !== keep))
    },
    async forget(key, count) {
      cache.delete(key)
      await store.delete(
        Array.from({ length: count }, (_, sequence) => layout.state(key, sequence)),
      )
    },
  }
}

function parseSession(bytes: Uint8Array, sequence: number): Session {
  const value = parseJson(bytes, { code: 'INTERNAL', maxBytes: STATE_LIMIT })
  const { size, segments, ended } = check(sessionSchema, value, 'upload state', 'INTERNAL')
  if (ended === undefined) return { sequence, size, segments }
  return { sequence, size, segments, ended: ended === 'aborted' ? ended : parseDigest(ended) }
}
