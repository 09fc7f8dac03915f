import type { BlobDriver } from '../storage/blob-driver.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { type BlobService, createBlobService } from './blobs.ts'
import { createManifestService, type ManifestService, type MissingReferences } from './manifests.ts'
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
}

export function createServices(
  content: BlobDriver,
  records: RecordDriver,
  { immutableTags, ...options }: ServiceOptions,
): Services {
  const blobs = createBlobService(content, records)
  const uploads = createUploadService(content, blobs)
  const tags = createTagService(records, parseImmutableTags(immutableTags))
  const referrers = createReferrerService(records, tags)
  const manifests = createManifestService({ records, blobs, tags, referrers, ...options })
  return { blobs, uploads, manifests, tags, referrers }
}
