import { randomUUID } from 'node:crypto'
import type { ByteSource, UploadKey } from '../blob-driver.ts'
import { watchSource } from '../blocks.ts'
import { outOfOrder, uploadUnknown } from '../errors.ts'
import { type RunningHashes, startHash } from '../running-hashes.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import type { PartBuffers } from './part-buffers.ts'
import { type SegmentSizes, SegmentWriter } from './segment-writer.ts'
import { mergeCount, readSegments } from './segments.ts'
import type { Session, Sessions } from './sessions.ts'

/** What the parts of the S3 blob driver share. */
export interface S3Context {
  readonly store: ObjectStore
  readonly layout: S3Layout
  readonly sizes: SegmentSizes
  readonly sessions: Sessions
  readonly hashes: RunningHashes
  readonly buffers: PartBuffers
}

interface Append {
  readonly key: UploadKey
  readonly offset: number
  readonly source: ByteSource
  readonly signal: AbortSignal | undefined
}

/** `BlobUploads.append` on S3: new objects first, then the state that names them; what lost is removed. */
export async function appendToSession(context: S3Context, append: Append): Promise<number> {
  const { store, layout, sessions, sizes, hashes, buffers } = context
  const { key, offset, signal } = append
  const session = await sessionAt(sessions, key, offset)
  const kept = session.segments.slice(0, session.segments.length - mergeCount(session.segments))
  const merged = session.segments.slice(kept.length)
  const sequence = session.sequence + 1
  const running = hashes.take(key, offset) ?? (offset === 0 ? startHash() : undefined)
  let size = offset
  const watched = watchSource(append.source, (chunk) => {
    running?.hash.update(chunk)
    size += chunk.length
  })
  const keyOf = (n: number) => layout.dataObject(key, sequence, `${n}-${randomUUID()}`)
  const writer = new SegmentWriter({ store, buffers, sizes, keyOf })
  const segments = await writtenOrDiscarded(writer, async () => {
    for await (const chunk of concatenated(readSegments(store, merged), watched.bytes)) {
      signal?.throwIfAborted()
      await writer.write(chunk)
    }
    return size > offset ? writer.finish() : undefined
  })
  if (segments !== undefined) {
    // When this fails, the state may be there: what it names has to stay, until the upload ends.
    const isOurs = await sessions.publish(key, { sequence, size, segments: [...kept, ...segments] })
    if (!isOurs) {
      await quietly(writer.discard())
      throw outOfOrder(offset, undefined)
    }
    await quietly(store.delete(merged.map((segment) => segment.key)))
  } else {
    await quietly(writer.discard())
  }
  if (running !== undefined) hashes.keep(key, { ...running, size })
  watched.rethrow()
  return size
}

/** Writes; what is there already when that fails is removed, if it can be. */
async function writtenOrDiscarded<T>(writer: SegmentWriter, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    await quietly(writer.discard())
    throw error
  }
}

/** Waits for tidying up that needn't succeed now: what stays is removed when uploads expire. */
export async function quietly(tidying: Promise<unknown>): Promise<void> {
  await tidying.catch(() => {})
}

/** The state to follow. A cached one that was overtaken does no harm: its successor can't be published. */
async function sessionAt(sessions: Sessions, key: UploadKey, offset: number): Promise<Session> {
  const cached = sessions.cached(key)
  const session =
    cached?.size === offset && cached.ended === undefined ? cached : await sessions.latest(key)
  if (session === undefined || session.ended !== undefined) throw uploadUnknown()
  if (session.size !== offset) throw outOfOrder(offset, session.size)
  return session
}

async function* concatenated(...sources: readonly ByteSource[]): AsyncGenerator<Uint8Array> {
  for (const source of sources) yield* source
}
