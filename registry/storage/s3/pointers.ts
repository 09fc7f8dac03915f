import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import type { Digest } from '#oci/digest.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'
import type { Segment } from './segments.ts'
import { segmentSchema } from './sessions.ts'

/** Where the bytes of a complete blob are. */
export interface Pointer {
  readonly size: number
  readonly segments: readonly Segment[]
}

export interface Pointers {
  get(digest: Digest): Promise<Pointer | undefined>
  /** The same for readers: may be of up to `ttlMs` ago, since the bytes of a blob never change. */
  recall(digest: Digest): Promise<Pointer | undefined>
  /** Removes a blob: its pointer, then its bytes. */
  delete(digest: Digest): Promise<void>
  /** Makes bytes that were just verified the blob, unless it exists; returns the pointer that holds. */
  create(digest: Digest, blob: Pointer): Promise<Pointer>
  /**
   * The same for bytes that were verified some time ago: undefined when there is no pointer and the bytes, too, are
   * gone, because the blob was deleted since.
   */
  restore(digest: Digest, blob: Pointer): Promise<Pointer | undefined>
}

/** Names of objects that are remembered, over all pointers: some 10 MB. */
const MOST_REMEMBERED = 50_000
const POINTER_LIMIT = 64 * 1024 * 1024

const pointerSchema = z.object({ size: z.int().min(0), segments: z.array(segmentSchema) })

export function createPointers(store: ObjectStore, layout: S3Layout, ttlMs: number): Pointers {
  const remembered = new LRUCache<Digest, Pointer>({
    ttl: ttlMs,
    maxSize: MOST_REMEMBERED,
    sizeCalculation: ({ segments }) => 1 + segments.length,
  })

  async function get(digest: Digest): Promise<Pointer | undefined> {
    const object = await store.get(layout.pointer(digest))
    if (object === undefined) return undefined
    const value = parseJson(object.bytes, { code: 'INTERNAL', maxBytes: POINTER_LIMIT })
    return check(pointerSchema, value, 'blob pointer', 'INTERNAL')
  }

  async function create(digest: Digest, { size, segments }: Pointer): Promise<Pointer> {
    const blob = { size, segments }
    const bytes = Buffer.from(JSON.stringify(blob))
    for (;;) {
      if (await store.put(layout.pointer(digest), bytes, { ifAbsent: true })) return blob
      const found = await get(digest)
      if (found !== undefined) return found
    }
  }

  async function recall(digest: Digest): Promise<Pointer | undefined> {
    const known = remembered.get(digest)
    if (known !== undefined) return known
    const start = performance.now()
    const found = await get(digest)
    if (found !== undefined) remembered.set(digest, found, { start })
    return found
  }

  async function remove(digest: Digest): Promise<void> {
    remembered.delete(digest)
    await store.delete([layout.pointer(digest)])
  }

  async function isComplete({ segments }: Pointer): Promise<boolean> {
    for (const { key, size } of segments) {
      if ((await store.size(key)) !== size) return false
    }
    return true
  }

  return {
    get,
    recall,
    async delete(digest) {
      const pointer = await get(digest)
      if (pointer === undefined) return
      await remove(digest)
      await store.delete(pointer.segments.map((segment) => segment.key))
      // Somebody may have restored it while the bytes were still there; whoever does looks for these afterwards.
      const restored = await get(digest)
      if (restored !== undefined && isSameData(restored, pointer)) await remove(digest)
    },
    create,
    async restore(digest, blob) {
      const found = await get(digest)
      if (found !== undefined) return found
      if (!(await isComplete(blob))) return undefined
      const pointer = await create(digest, blob)
      if (!isSameData(pointer, blob) || (await isComplete(blob))) return pointer
      await remove(digest)
      return undefined
    },
  }
}

/** Bytes of all segments together. */
export function sizeOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0)
}

/** Whether two pointers name the same objects. */
export function isSameData(a: Pointer, b: Pointer): boolean {
  return (
    a.segments.length === b.segments.length &&
    a.segments.every(({ key }, i) => key === b.segments[i]?.key)
  )
}
