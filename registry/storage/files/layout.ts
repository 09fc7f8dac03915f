import { join } from 'node:path'
import { type Digest, digestAlgorithm, digestHex } from '#oci/digest.ts'
import type { UploadKey } from '../blob-driver.ts'

/**
 * Every path below a data directory.
 *
 *     records.sqlite                                     all records
 *     blobs/<algorithm>/<2 hex>/<hex>                    complete blobs
 *     uploads/<key>/<size>                               the bytes of an upload that nobody is writing to
 *     uploads/<key>/<size>.<pid>-<start time>-<nonce>    the same, claimed by a process at that size
 *     trash/<nonce>/                                     ended uploads on their way out
 */
export interface FilesLayout {
  readonly records: string
  readonly blobs: string
  readonly uploads: string
  readonly trash: string
  blob(digest: Digest): string
  upload(key: UploadKey): string
  uploadFile(key: UploadKey, name: string): string
}

export function filesLayout(dataDir: string): FilesLayout {
  const at = (...names: string[]) => join(dataDir, ...names)
  return {
    records: at('records.sqlite'),
    blobs: at('blobs'),
    uploads: at('uploads'),
    trash: at('trash'),
    blob(digest) {
      const hex = digestHex(digest)
      return at('blobs', digestAlgorithm(digest), hex.slice(0, 2), hex)
    },
    upload: (key) => at('uploads', key),
    uploadFile: (key, name) => at('uploads', key, name),
  }
}
