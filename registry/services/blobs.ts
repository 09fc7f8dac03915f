import type { Digest } from '#oci/digest.ts'
import { parseRepositoryName, type RepositoryName } from '#oci/reference.ts'
import type { BlobContent, ByteRange, ByteSource } from '../storage/blob-driver.ts'
import { blobUnknown } from '../storage/errors.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { listAll } from './pages.ts'
import { PRESENT, RECORD_KEYS } from './record-keys.ts'

/** The blobs of repositories. A blob is there only for a repository that it was pushed or mounted to. */
export interface BlobService {
  has(name: RepositoryName, digest: Digest): Promise<boolean>
  /** @throws BLOB_UNKNOWN */
  stat(name: RepositoryName, digest: Digest): Promise<{ readonly size: number }>
  /** The bytes of a blob that `stat` has shown. @throws BLOB_UNKNOWN */
  read(digest: Digest, range?: ByteRange): Promise<ByteSource>
  /** Every repository that shows a blob, without an order. */
  holders(digest: Digest): AsyncIterable<RepositoryName>
  /** Where a client can read a blob that `stat` has shown from its store, if it can. */
  presign(digest: Digest): Promise<string | undefined>
  /** Shows a stored blob in a repository. */
  link(name: RepositoryName, digest: Digest): Promise<void>
  /**
   * Takes a blob from a repository (distribution-spec, "Deleting Blobs"); its bytes stay for others.
   *
   * @throws BLOB_UNKNOWN
   */
  delete(name: RepositoryName, digest: Digest): Promise<void>
}

export function createBlobService(content: BlobContent, records: RecordDriver): BlobService {
  const has = async (name: RepositoryName, digest: Digest) =>
    (await records.get(RECORD_KEYS.blob(name, digest))) !== undefined

  return {
    has,
    async stat(name, digest) {
      const [isLinked, blob] = await Promise.all([has(name, digest), content.stat(digest)])
      if (!isLinked || blob === undefined) throw blobUnknown(digest)
      return blob
    },
    read: (digest, range) => content.read(digest, range),
    async *holders(digest) {
      for await (const name of listAll(records, RECORD_KEYS.holders(digest))) {
        const holder = parseRepositoryName(name)
        if (await has(holder, digest)) yield holder
      }
    },
    async link(name, digest) {
      await Promise.all([
        records.put(RECORD_KEYS.holder(digest, name), PRESENT),
        records.put(RECORD_KEYS.blob(name, digest), PRESENT),
      ])
    },
    presign: async (digest) => content.presign?.(digest),
    async delete(name, digest) {
      if (!(await has(name, digest))) throw blobUnknown(digest)
      await records.delete(RECORD_KEYS.blob(name, digest))
      await records.delete(RECORD_KEYS.holder(digest, name))
    },
  }
}
