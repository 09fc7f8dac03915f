import type { Digest } from '#oci/digest.ts'
import { DrayError, isErrno } from '#oci/error.ts'

/** The blob isn't in the store. */
export function blobUnknown(digest: Digest): DrayError {
  return new DrayError('BLOB_UNKNOWN', `unknown blob ${digest}`, { detail: { digest } })
}

/** The upload was never created, or has been committed, aborted or expired. */
export function uploadUnknown(): DrayError {
  return new DrayError(
    'BLOB_UPLOAD_UNKNOWN',
    'unknown upload: it was finished, cancelled or has expired; start a new one',
  )
}

/** The bytes don't continue the upload. `standing` is where it stands, if known. */
export function outOfOrder(offset: number, standing: number | undefined): DrayError {
  const where =
    standing === undefined || standing === offset
      ? 'another request is at work on this upload'
      : `the upload stands at byte ${standing}, not ${offset}`
  return new DrayError('UPLOAD_OUT_OF_ORDER', `${where}: ask for its status and go on from there`, {
    detail: { offset },
    retryable: true,
  })
}

/** A conditional change lost. */
export function recordConflict(key: string): DrayError {
  return new DrayError('RECORD_CONFLICT', `record ${key} was changed by another writer`, {
    retryable: true,
  })
}

/** The store itself failed: the disk, the network, the bucket. `what` completes "failed to ...". */
export function storageFailed(what: string, cause: unknown): DrayError {
  return new DrayError('STORAGE_FAILED', `the storage failed to ${what}${fullness(cause)}`, {
    cause,
    retryable: true,
  })
}

/** Whether there is no room, or none for this user. */
export function isDiskFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT')
}

/** Whether an answer of S3 says that there is no room. Servers agree on no code: `QuotaExceeded` of Ceph, `XMinioStorageFull`. */
export function isBucketFull(error: unknown): boolean {
  return (
    error instanceof Error && /Quota\w*Exceeded|StorageFull|InsufficientStorage/.test(error.name)
  )
}

function fullness(cause: unknown): string {
  if (isDiskFull(cause)) return ': its disk is full'
  return isBucketFull(cause) ? ': its bucket is full' : ''
}
