import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import { createServices } from '#registry/services/services.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import type { RecordDriver } from '#registry/storage/record-driver.ts'

export const NAME = parseRepositoryName('app')

/** Services over memory; `records` may be watched. */
export function servicesInMemory(records: RecordDriver = createMemoryRecordDriver()) {
  const services = createServices(createMemoryBlobDriver(), records, {
    missingReferences: 'refuse',
    immutableTags: {},
    readOnly: false,
  })
  return { ...services, records }
}

/** An index without manifests, but with other fields. */
export function emptyIndex(fields: object) {
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [], ...fields }),
  )
  const digest = digestOf(bytes)
  return {
    bytes,
    digest,
    descriptor: { mediaType: MEDIA_TYPE.ociIndex, digest, size: bytes.length },
  }
}
