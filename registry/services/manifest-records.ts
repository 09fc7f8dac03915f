import type { Digest } from '#oci/digest.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { RECORD_KEYS } from './record-keys.ts'

export interface StoredManifest {
  readonly mediaType: string
  readonly digest: Digest
  /** Exactly those that were pushed. */
  readonly bytes: Uint8Array
}

const LINE_FEED = 10

/** A manifest of a repository, or undefined when the repository doesn't hold it. */
export async function readManifest(
  records: RecordDriver,
  name: RepositoryName,
  digest: Digest,
): Promise<StoredManifest | undefined> {
  const record = await records.get(RECORD_KEYS.manifest(name, digest))
  if (record === undefined) return undefined
  const end = record.bytes.indexOf(LINE_FEED)
  const mediaType = Buffer.from(record.bytes.subarray(0, end)).toString('latin1')
  return { mediaType, digest, bytes: record.bytes.subarray(end + 1) }
}
