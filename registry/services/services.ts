import type { BlobDriver } from '../storage/blob-driver.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { type BlobService, createBlobService } from './blobs.ts'
import { createManifestService, type ManifestService, type MissingReferences } from './manifests.ts'
import { limitOpenUploads } from './open-uploads.ts'
import { limitBytes } from './quota.ts'
import { createReferrerService, type ReferrerService } from './referrers.ts'
import { type ImmutableTags, parseImmutableTags } from './tag-rules.ts'
import { createTagService, type TagService } from './tags.ts'
import { createUploadService, type UploadService } from './uploads.ts'

/** Every rule of distribution-spec, over any storage and below any transport. */
export interface Services {
  readonly blobs: BlobService
  readonly uploads: UploadService
  readonly manifests: ManifestService
  readonly tags: TagService
  readonly referrers: ReferrerService
}

/** Rules that the operator chooses. */
export interface ServiceOptions {
  readonly missingReferences: MissingReferences
  readonly immutableTags: ImmutableTags
  readonly readOnly: boolean
  /** After so long an upload that nobody finished counts no more. Default: a day. */
  readonly uploadTtlMs?: number
  readonly limits?: Limits
}

const DAY_MS = 24 * 60 * 60_000

/** What repositories may hold; without a number as much as there is room for. */
export interface Limits {
  readonly openUploads?: number | undefined
  readonly repositoryBytes?: number | undefined
}

export function createServices(
  content: BlobDriver,
  records: RecordDriver,
  { immutableTags, limits = {}, uploadTtlMs = DAY_MS, ...options }: ServiceOptions,
): Services {
  const { openUploads, repositoryBytes } = limits
  const everyBlob = createBlobService(content, records)
  const blobs =
    repositoryBytes === undefined
      ? everyBlob
      : limitBytes(everyBlob, { content, records, repositoryBytes })
  const everyUpload = createUploadService(content, blobs)
  const uploads =
    openUploads === undefined
      ? everyUpload
      : limitOpenUploads(everyUpload, { openUploads, uploadTtlMs })
  const tags = createTagService(records, parseImmutableTags(immutableTags))
  const referrers = createReferrerService(records, tags)
  const manifests = createManifestService({ records, blobs, tags, referrers, ...options })
  return { blobs, uploads, manifests, tags, referrers }
}
