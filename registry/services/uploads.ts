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

/** To whom an upload belongs: nobody else finds it, and it isn't found in any other repository. */
export interface UploadPlace {
  readonly name: RepositoryName
  /** Who began it, unless nobody asked. */
  readonly owner?: string | undefined
}

/** Where a blob may be mounted from: `from`, or, without it, whatever repository holds it, if the client may read it. */
export interface MountSource {
  readonly from: RepositoryName | undefined
  mayRead(name: RepositoryName): boolean
}

/** Pushing blobs (distribution-spec, "Pushing blobs"). */
export interface UploadService {
  start(place: UploadPlace, algorithm?: DigestAlgorithm): Promise<UploadId>
  /** Bytes that the upload holds. @throws BLOB_UPLOAD_UNKNOWN */
  status(place: UploadPlace, id: UploadId): Promise<number>
  /** Adds bytes and returns how many the upload holds now. @throws UPLOAD_OUT_OF_ORDER, SIZE_INVALID, BLOB_UPLOAD_UNKNOWN */
  append(place: UploadPlace, id: UploadId, chunk: Chunk): Promise<number>
  /**
   * Adds the last bytes, if any, and makes all of them the blob `digest` of the repository. Repeating it after the
   * answer was lost succeeds.
   *
   * @throws DIGEST_INVALID, which ends the upload, and what `append` throws
   */
  finish(place: UploadPlace, id: UploadId, digest: Digest, chunk?: Chunk): Promise<void>
  /** Takes a whole blob in one request. @throws DIGEST_INVALID */
  push(name: RepositoryName, digest: Digest, source: ByteSource): Promise<void>
  /** Shows a blob in a repository that another one shows. False when there is none to take it from. */
  mount(name: RepositoryName, digest: Digest, source: MountSource): Promise<boolean>
  /** @throws BLOB_UPLOAD_UNKNOWN */
  cancel(place: UploadPlace, id: UploadId): Promise<void>
}

/** @throws BLOB_UPLOAD_UNKNOWN, since no upload has such a name */
export function parseUploadId(value: string): UploadId {
  if (!UUID.test(value)) throw uploadUnknown()
  return value as UploadId
}

export function createUploadService(driver: BlobDriver, blobs: BlobService): UploadService {
  async function status(place: UploadPlace, id: UploadId): Promise<number> {
    const size = await driver.uploadSize(uploadKey(place, id))
    if (size === undefined) throw uploadUnknown()
    return size
  }

  async function append(place: UploadPlace, id: UploadId, chunk: Chunk): Promise<number> {
    const { source, range } = chunk
    const offset = range?.start ?? (await status(place, id))
    return driver.append(
      uploadKey(place, id),
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
    place: UploadPlace,
    id: UploadId,
    digest: Digest,
    { source, range }: Chunk,
  ): Promise<void> {
    if (range !== undefined && range.start !== 0) throw outOfOrder(range.start, 0)
    try {
      await push(place.name, digest, range === undefined ? source : exactly(source, range))
    } catch (error) {
      if (isDrayError(error, 'DIGEST_INVALID')) await driver.abort(uploadKey(place, id))
      throw error
    }
    await driver.abort(uploadKey(place, id))
  }

  async function finish(
    place: UploadPlace,
    id: UploadId,
    digest: Digest,
    chunk: Chunk | undefined,
  ): Promise<void> {
    if (chunk !== undefined) {
      if ((await status(place, id)) === 0) return finishAtOnce(place, id, digest, chunk)
      await append(place, id, chunk)
    }
    await driver.commit(uploadKey(place, id), digest)
    await blobs.link(place.name, digest)
  }

  async function isMountable(digest: Digest, { from, mayRead }: MountSource): Promise<boolean> {
    if (from !== undefined) return mayRead(from) && (await blobs.has(from, digest))
    for await (const holder of blobs.holders(digest)) if (mayRead(holder)) return true
    return false
  }

  return {
    async start(place, algorithm) {
      const id = randomUUID() as UploadId
      await driver.createUpload(uploadKey(place, id), { algorithm })
      return id
    },
    status,
    append,
    push,
    async finish(place, id, digest, chunk) {
      try {
        await finish(place, id, digest, chunk)
      } catch (error) {
        const isEnded = isDrayError(error, 'BLOB_UPLOAD_UNKNOWN', 'UPLOAD_OUT_OF_ORDER')
        if (!isEnded || (await driver.uploadSize(uploadKey(place, id))) !== undefined) throw error
        if (!(await blobs.has(place.name, digest))) throw error
        if (chunk !== undefined) await discard(chunk.source)
      }
    },
    async mount(name, digest, source) {
      if (!(await isMountable(digest, source))) return false
      await blobs.link(name, digest)
      return true
    },
    async cancel(place, id) {
      await status(place, id)
      await driver.abort(uploadKey(place, id))
    },
  }
}

/** Holds the place, so that an upload can't be reached from another one. */
function uploadKey({ name, owner }: UploadPlace, id: UploadId): UploadKey {
  const place = digestOf(owner === undefined ? name : `${name}\n${owner}`)
  return `${id}-${place.slice('sha256:'.length, 'sha256:'.length + 32)}` as UploadKey
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
