import { randomUUID } from 'node:crypto'
import { DrayError } from '#oci/error.ts'
import { type BucketOptions, hasStatus } from './bucket.ts'
import type { S3Layout } from './layout.ts'
import type { ObjectStore } from './object-store.ts'

/**
 * Checks that a bucket can be written to and keeps the one promise that Dray needs of it: that of two creations of
 * one key with `If-None-Match: *` the second is refused.
 *
 * @throws CONFIG_INVALID saying what to change, STORAGE_FAILED when the server can't be reached
 */
export async function probeBucket(
  store: ObjectStore,
  layout: S3Layout,
  { bucket, endpoint }: BucketOptions,
): Promise<void> {
  const place = `bucket ${bucket}${endpoint === undefined ? '' : ` at ${endpoint}`}`
  const key = layout.probe(randomUUID())
  const create = () => store.put(key, Buffer.from('probe'), { ifAbsent: true })
  try {
    await create().catch((error: unknown) => {
      throw explained(error, place)
    })
    if (await create()) {
      throw new DrayError(
        'CONFIG_INVALID',
        `${place} ignores If-None-Match: two writers could both believe that they had won. Use an S3 server that ` +
          'honours conditional writes on PutObject (Amazon S3, Ceph 16, R2, MinIO, or later)',
      )
    }
  } finally {
    await store.delete([key]).catch(() => {})
  }
}

function explained(error: unknown, place: string): unknown {
  const cause = error instanceof DrayError ? error.cause : undefined
  const invalid = (why: string) => new DrayError('CONFIG_INVALID', `${place} ${why}`, { cause })
  if (hasStatus(cause, 404)) {
    return invalid('does not exist: create it (aws s3api create-bucket), or correct s3.bucket')
  }
  if (hasStatus(cause, 401, 403)) {
    return invalid(
      'refuses our credentials: they need s3:GetObject, PutObject, DeleteObject, ListBucket and AbortMultipartUpload',
    )
  }
  if (hasStatus(cause, 301, 307)) return invalid('is in another region: correct s3.region')
  if ((cause as Error | undefined)?.name === 'CredentialsProviderError') {
    return new DrayError(
      'CONFIG_INVALID',
      'no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of the AWS SDK',
      { cause },
    )
  }
  return new DrayError('STORAGE_FAILED', `${place} cannot be reached`, { cause, retryable: true })
}
