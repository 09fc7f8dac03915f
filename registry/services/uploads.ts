import { randomUUID } from 'node:crypto'
import { type Digest, type DigestAlgorithm, digestOf } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { BlobDriver, ByteRange, ByteSource, UploadKey } from '../storage/blob-driver.ts'
import { outOfOrder, uploadUnknown } from '../storage/errors.ts'
import type { BlobService } from './blobs.ts'

/** Names an upload to its client: a UUID. */
export type UploadId = string & { readonly __brand: 'UploadId' }

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Bytes that come with a request of an upload. */
export interface Chunk {
  readonly source: ByteSource
  /** Where they belong, by the client (distribution-spec, "Pushing a blob in chunks"). */
  readonly range?: ByteRange | undefined
}

/** Pushing blobs (distribution-spec, "Pushing blobs"). An upload belongs to the repository that it was started in. */
export interface UploadService {
  start(name: RepositoryName, algorithm?: DigestAlgorithm): Promise<UploadId>
  /** Bytes that the upload holds. @throws BLOB_UPLOAD_UNKNOWN */
  status(name: RepositoryName, id: UploadId): Promise<number>
  /** Adds bytes and returns how many the upload holds now. @throws UPLOAD_OUT_OF_ORDER, SIZE_INVALID, BLOB_UPLOAD_UNKNOWN */
  append(name: RepositoryName, id: UploadId, chunk: Chunk): Promise<number>
  /**
   * Adds the last bytes, if any, and makes all of them the blob `digest` of the repository. Repeating it after the
   * answer was lost succeeds.
   *
   * @throws DIGEST_INVALID, which ends the upload, and what `append` throws
   */
  finish(name: RepositoryName, id: UploadId, digest: Digest, chunk?: Chunk): Promise<void>
  /** Takes a whole blob in one request. @throws DIGEST_INVALID */
  push(name: RepositoryName, digest: Digest, source: ByteSource): Promise<void>
  /** Shows a blob of one repository in another; false when the first doesn't have it. */
  mount(name: RepositoryName, digest: Digest, from: RepositoryName): Promise<boolean>
  /** @throws BLOB_UPLOAD_UNKNOWN */
  cancel(name: RepositoryName, id: UploadId): Promise<void>
}

/** @throws BLOB_UPLOAD_UNKNOWN, since no upload has such a name */
export function parseUploadId(value: string): UploadId {
  if (!UUID.test(value)) throw uploadUnknown()
  return value as UploadId
}

export function createUploadService(driver: BlobDriver, blobs: BlobService): UploadService {
  async function status(name: RepositoryName, id: UploadId): Promise<number> {
    const size = await driver.uploadSize(uploadKey(name, id))
    if (size === undefined) throw uploadUnknown()
    return size
  }

  async function append(name: RepositoryName, id: UploadId, chunk: Chunk): Promise<number> {
    const { source, range } = chunk
    const offset = range?.start ?? (await status(name, id))
    return driver.append(
      uploadKey(name, id),
      offset,
      range === undefined ? source : exactly(source, range),
    )
  }

  async function push(name: RepositoryName, digest: Digest, source: ByteSource): Promise<void> {
    await driver.put(digest, source)
    await blobs.link(name, digest)
  }

  /** A whole blob whose digest is known needs no upload: it is verified before it is stored. */
  async function finishAtOnce(
    name: RepositoryName,
    id: UploadId,
    digest: Digest,
    { source, range }: Chunk,
  ): Promise<void> {
    if (range !== undefined && range.start !== 0) throw outOfOrder(range.start, 0)
    try {
      await push(name, digest, range === undefined ? source : exactly(source, range))
    } catch (error) {
      if (isDrayError(error, 'DIGEST_INVALID')) await driver.abort(uploadKey(name, id))
      throw error
    }
    await driver.abort(uploadKey(name, id))
  }

  async function finish(
    name: RepositoryName,
    id: UploadId,
    digest: Digest,
    chunk: Chunk | undefined,
  ): Promise<void> {
    if (chunk !== undefined) {
      if ((await status(name, id)) === 0) return finishAtOnce(name, id, digest, chunk)
      await append(name, id, chunk)
    }
    await driver.commit(uploadKey(name, id), digest)
    await blobs.link(name, digest)
  }

  return {
    async start(name, algorithm) {
      const id = randomUUID() as UploadId
      await driver.createUpload(uploadKey(name, id), { algorithm })
      return id
    },
    status,
    append,
    push,
    async finish(name, id, digest, chunk) {
      try {
        await finish(name, id, digest, chunk)
      } catch (error) {
        const isEnded = isDrayError(error, 'BLOB_UPLOAD_UNKNOWN', 'UPLOAD_OUT_OF_ORDER')
        if (!isEnded || (await driver.uploadSize(uploadKey(name, id))) !== undefined) throw error
        if (!(await blobs.has(name, digest))) throw error
        if (chunk !== undefined) await discard(chunk.source)
      }
    },
    async mount(name, digest, from) {
      if (!(await blobs.has(from, digest))) return false
      await blobs.link(name, digest)
      return true
    },
    async cancel(name, id) {
      await status(name, id)
      await driver.abort(uploadKey(name, id))
    },
  }
}

/** Holds the repository, so that an upload can't be reached through another one. */
function uploadKey(name: RepositoryName, id: UploadId): UploadKey {
  const owner = digestOf(name).slice('sha256:'.length, 'sha256:'.length + 32)
  return `${id}-${owner}` as UploadKey
}

/** Passes on as many bytes as a range holds. @throws SIZE_INVALID when there are more or fewer */
async function* exactly(source: ByteSource, { start, end }: ByteRange): AsyncGenerator<Uint8Array> {
  let left = end - start + 1
  for await (const chunk of source) {
    if (chunk.length > left)
      throw new DrayError('SIZE_INVALID', 'more bytes came than Content-Range says')
    left -= chunk.length
    yield chunk
  }
  if (left > 0) throw new DrayError('SIZE_INVALID', 'fewer bytes came than Content-Range says')
}

async function discard(source: ByteSource): Promise<void> {
  for await (const _ of source);
}
