import { createHash, randomUUID } from 'node:crypto'
import { storageFailed } from '#registry/storage/errors.ts'
import type { ObjectStore } from '#registry/storage/s3/object-store.ts'

interface Held {
  readonly bytes: Buffer
  readonly etag: string
  readonly modified: Date
}

interface HeldMultipart {
  readonly key: string
  readonly started: Date
  readonly parts: Map<number, Held>
}

const held = (bytes: Uint8Array): Held => ({
  bytes: Buffer.from(bytes),
  etag: createHash('md5').update(bytes).digest('hex'),
  modified: new Date(),
})

/** A bucket in this process's memory, with the promises that we rely on and no other. Parts may have any size. */
export function createMemoryObjectStore(): ObjectStore {
  const objects = new Map<string, Held>()
  const multiparts = new Map<string, HeldMultipart>()

  function multipartOf(uploadId: string): HeldMultipart {
    const multipart = multiparts.get(uploadId)
    if (multipart === undefined) throw storageFailed('find a multipart upload', undefined)
    return multipart
  }

  return {
    async get(key) {
      const object = objects.get(key)
      return object === undefined ? undefined : { ...object, nonce: undefined }
    },
    async open(key, { start, end }) {
      const object = objects.get(key)
      if (object === undefined) throw storageFailed('read an object', undefined)
      return (async function* () {
        yield object.bytes.subarray(start, end + 1)
      })()
    },
    size: async (key) => objects.get(key)?.bytes.length,
    async put(key, bytes, { ifAbsent, ifMatch } = {}) {
      const found = objects.get(key)
      if (ifAbsent && found !== undefined) return false
      if (ifMatch !== undefined && found?.etag !== ifMatch) return false
      objects.set(key, held(bytes))
      return true
    },
    async delete(keys) {
      for (const key of keys) objects.delete(key)
    },
    async list(prefix, { after = '', limit }) {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after)
      return keys.sort().flatMap((key, i) => {
        const object = objects.get(key)
        if (object === undefined || i >= limit) return []
        return [{ key, size: object.bytes.length, modified: object.modified }]
      })
    },
    async startMultipart(key) {
      const uploadId = randomUUID()
      multiparts.set(uploadId, { key, started: new Date(), parts: new Map() })
      return uploadId
    },
    async putPart(_key, uploadId, number, bytes) {
      const part = held(bytes)
      multipartOf(uploadId).parts.set(number, part)
      return { PartNumber: number, ETag: part.etag }
    },
    async completeMultipart(key, uploadId, parts) {
      const { parts: stored } = multipartOf(uploadId)
      const bytes = parts.map(({ PartNumber }) => stored.get(PartNumber)?.bytes ?? Buffer.alloc(0))
      objects.set(key, held(Buffer.concat(bytes)))
      multiparts.delete(uploadId)
    },
    async abortMultipart(_key, uploadId) {
      multiparts.delete(uploadId)
    },
    async listMultiparts(prefix) {
      const entries = [...multiparts].map(([uploadId, { key, started }]) => ({
        ...{ key, uploadId, started },
      }))
      return entries.filter(({ key }) => key.startsWith(prefix))
    },
    async newestPart(_key, uploadId) {
      const dates = [...multipartOf(uploadId).parts.values()].map(({ modified }) => modified)
      return dates.sort((a, b) => Number(a) - Number(b)).at(-1)
    },
    close() {},
  }
}

/**
 * What becomes of a call: it fails, without its effect or after it, or it is the first one that a killed process does
 * not make any more.
 */
export type CallFault = 'fails' | 'fails after its effect' | 'is never made'

export interface FaultyStore {
  readonly store: ObjectStore
  /** Resolved when the process counts as killed and has nothing under way any more. */
  readonly killed: Promise<void>
  calls(): number
}

/** A store whose `at`-th call, from 1, meets a fault. Counts calls on the way. */
export function faultyStore(
  store: ObjectStore,
  fault?: { readonly at: number; readonly what: CallFault },
): FaultyStore {
  let calls = 0
  const never = new Promise<never>(() => {})
  const killed = Promise.withResolvers<void>()
  const handler: ProxyHandler<ObjectStore> = {
    get(target, name: keyof ObjectStore) {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>
      if (name === 'close') return method
      return async (...args: unknown[]) => {
        calls++
        if (fault?.what === 'is never made' && calls >= fault.at) {
          // Calls that were made before, at the same time, need a few turns to end.
          setTimeout(killed.resolve, 2)
          return never
        }
        if (calls !== fault?.at) return method(...args)
        if (fault.what === 'fails after its effect') await method(...args)
        throw storageFailed(name, new Error('injected'))
      }
    },
  }
  return { store: new Proxy(store, handler), killed: killed.promise, calls: () => calls }
}
