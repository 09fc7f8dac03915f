import type { Storage } from '#registry/storage/open-storage.ts'
import { createS3BlobDriver } from '#registry/storage/s3/blob-driver.ts'
import { type S3Layout, s3Layout } from '#registry/storage/s3/layout.ts'
import { type ObjectStore, openObjectStore } from '#registry/storage/s3/object-store.ts'
import { createS3RecordDriver } from '#registry/storage/s3/record-driver.ts'

export interface BucketPlace {
  readonly endpoint: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly bucket: string
  readonly prefix: string
  readonly idleTimeoutMs?: number | undefined
  /** Default: 5 MiB. */
  readonly partSize?: number | undefined
}

export interface BucketStorage extends Storage {
  readonly store: ObjectStore
  readonly layout: S3Layout
}

/** A store in a part of a bucket, as one process opens it; with objects of two parts at most. */
export function openBucketStorage({
  prefix,
  partSize = 5 * 1024 * 1024,
  ...place
}: BucketPlace): BucketStorage {
  const layout = s3Layout(prefix)
  const store = openObjectStore({ ...place, region: 'us-east-1', pathStyle: true })
  const content = createS3BlobDriver(store, layout, { sizes: { partSize, partsPerSegment: 2 } })
  return { store, layout, content, records: createS3RecordDriver(store, layout) }
}
