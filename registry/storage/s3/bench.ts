import { randomUUID } from 'node:crypto'
import { type Bucket, openBucket } from './bucket.ts'
import { s3Layout } from './layout.ts'
import { type ObjectStore, openObjectStore } from './object-store.ts'
import type { PresignOptions } from './presign.ts'

/** A corner of a bucket to try things in. */
export interface Bench {
  readonly options: PresignOptions & { readonly redirect: boolean }
  readonly store: ObjectStore
  /** For calls that a store doesn't make. */
  readonly bucket: Bucket
  /** Of messages: the bucket and its server. */
  readonly place: string
  /** What the keys of the corner begin with. */
  readonly corner: string
  key(name: string): string
  /** Removes all that is in the corner, as far as it may. */
  close(): Promise<void>
}

export function openBench(options: Bench['options'] & { readonly prefix: string }): Bench {
  const corner = s3Layout(options.prefix).probe(`${randomUUID()}/`)
  const store = openObjectStore(options)
  const bucket = openBucket(options)
  const { bucket: name, endpoint } = options
  return {
    options,
    store,
    bucket,
    place: `bucket ${name}${endpoint === undefined ? '' : ` at ${endpoint}`}`,
    corner,
    key: (each) => corner + each,
    async close() {
      await clear(store, corner).catch(() => {})
      bucket.close()
      store.close()
    },
  }
}

async function clear(store: ObjectStore, corner: string): Promise<void> {
  const objects = await store.list(corner, { limit: Number.POSITIVE_INFINITY })
  await store.delete(objects.map(({ key }) => key))
  for (const { key, uploadId } of await store.listMultiparts(corner)) {
    await store.abortMultipart(key, uploadId)
  }
}
