import { randomBytes } from 'node:crypto'
import { recordConflict } from '../errors.ts'
import type { RecordDriver } from '../record-driver.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'

const NOTHING = new Uint8Array()
const SALT_BYTES = 16

/**
 * Keeps each record as one object: its bytes and 16 random ones. An etag says what an object holds, not who wrote it
 * when; with these it stands for one put alone.
 *
 * S3 has no conditional delete that servers agree on, so deleting at a version puts
 * an empty object in the record's place, under the condition; an empty object is no record.
 */
export function createS3RecordDriver(store: ObjectStore, layout: S3Layout): RecordDriver {
  async function get(key: string) {
    const object = await store.get(layout.record(key))
    if (object === undefined || object.bytes.length === 0) return undefined
    return { bytes: object.bytes.subarray(0, -SALT_BYTES), version: object.etag }
  }

  async function create(key: string, bytes: Uint8Array): Promise<boolean> {
    if (await store.put(layout.record(key), bytes, { ifAbsent: true })) return true
    const found = await store.get(layout.record(key))
    if (found === undefined || found.bytes.length > 0) return false
    return store.put(layout.record(key), bytes, { ifMatch: found.etag })
  }

  async function replace(key: string, bytes: Uint8Array, version: string): Promise<boolean> {
    return store.put(layout.record(key), bytes, { ifMatch: version })
  }

  return {
    get,
    async put(key, document, { ifAbsent, ifVersion } = {}) {
      const bytes = Buffer.concat([document, randomBytes(SALT_BYTES)])
      const done =
        ifVersion !== undefined
          ? await replace(key, bytes, ifVersion)
          : ifAbsent
            ? await create(key, bytes)
            : await store.put(layout.record(key), bytes)
      if (!done) throw recordConflict(key)
    },
    async delete(key, { ifVersion } = {}) {
      if (ifVersion === undefined) await store.delete([layout.record(key)])
      else if (!(await replace(key, NOTHING, ifVersion))) throw recordConflict(key)
    },
    async list(prefix, { after, limit }) {
      const keys: string[] = []
      let last = after === undefined ? undefined : layout.record(after)
      for (;;) {
        const wanted = limit - keys.length
        const page = await store.list(layout.record(prefix), {
          limit: wanted,
          ...(last === undefined ? {} : { after: last }),
        })
        for (const { key, size } of page) {
          if (size > 0) keys.push(key.slice(layout.records.length))
        }
        last = page.at(-1)?.key
        if (page.length < wanted || keys.length >= limit) return keys
      }
    },
    async close() {
      store.close()
    },
  }
}
