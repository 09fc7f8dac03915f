import type { Digest, DigestAlgorithm } from '#oci/digest.ts'

/** Names one upload session in a {@link BlobDriver}: lower-case letters, digits and `-`, at most 100. */
export type UploadKey = string & { readonly __brand: 'UploadKey' }

/**
 * Bytes on their way. The memory of a chunk is used for something else once the next one is asked for. When bytes break
 * off with an error, what came before it counts.
 */
export type ByteSource = AsyncIterable<Uint8Array>

/** An inclusive range of bytes, inside of the blob that it is taken from. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface UploadOptions {
  /** Which digest will probably be asked for at the end; another one works, but costs reading the bytes again. */
  readonly algorithm?: DigestAlgorithm | undefined
}

export interface Cancellable {
  readonly signal?: AbortSignal | undefined
}

/** Blobs that are complete. */
export interface BlobContent {
  /** The size of a blob, or undefined when the store doesn't hold it. */
  stat(digest: Digest): Promise<{ readonly size: number } | undefined>
  /**
   * The bytes of a blob, or of one range of it. Nothing is read ahead of the reader but a bounded buffer.
   * The source has to be read, or its iterator returned.
   *
   * @throws BLOB_UNKNOWN
   */
  read(digest: Digest, range?: ByteRange): Promise<ByteSource>
  /**
   * A URL at which anybody can read all or one range of a blob for a while, without the store being asked; undefined
   * for blobs that have none. Absent where no client is to be sent to the bytes.
   */
  presign?(digest: Digest): Promise<string | undefined>
  /** Stores a blob whose digest is known beforehand. Returns its size. @throws DIGEST_INVALID */
  put(digest: Digest, source: ByteSource, options?: Cancellable): Promise<number>
  /**
   * Removes a blob; success when there is none. Readers that have begun may still finish, and other processes may show
   * it for a minute longer: whether a repository has it is a record, which is never remembered.
   */
  delete(digest: Digest): Promise<void>
}

/** Blobs on their way in, of which nobody knows the digest before the end (distribution-spec, "Pushing a blob in chunks"). */
export interface BlobUploads {
  createUpload(key: UploadKey, options?: UploadOptions): Promise<void>
  /** How many bytes the upload holds, or undefined when there is no such upload (any more). */
  uploadSize(key: UploadKey): Promise<number | undefined>
  /**
   * Adds bytes at `offset`, which must be where the upload stands, and returns where it stands now. When `source`
   * fails, the bytes before the failure are kept and the failure is thrown.
   *
   * @throws UPLOAD_OUT_OF_ORDER when the upload stands elsewhere, or another request is adding to it
   * @throws BLOB_UPLOAD_UNKNOWN
   */
  append(key: UploadKey, offset: number, source: ByteSource, options?: Cancellable): Promise<number>
  /**
   * Makes the upload's bytes the blob `digest` and ends the upload; success when the blob exists already. Returns
   * the blob's size. On DIGEST_INVALID the upload is ended and its bytes are gone.
   *
   * @throws DIGEST_INVALID, UPLOAD_OUT_OF_ORDER when another request is at work on the upload, BLOB_UPLOAD_UNKNOWN
   */
  commit(key: UploadKey, digest: Digest, options?: Cancellable): Promise<number>
  /** Ends an upload and drops its bytes; success when there is none. */
  abort(key: UploadKey): Promise<void>
  /** Ends every upload that nothing was added to for `idleMs`, with what crashed requests left behind. */
  expireUploads(idleMs: number): Promise<void>
}

/**
 * Where the bytes of blobs live. Content-shaped: a blob is found by its digest alone, which repositories may show it
 * is the business of records.
 *
 * Lifecycle: an upload is created, appended to any number of times, then committed or aborted. Any process that
 * shares the store may make each of these calls.
 *
 * Visibility: a blob can be seen by `stat` and `read` only when all of its bytes are stored durably and have the
 * digest; never half-written, whatever crashes. Of several writers of one blob all succeed, and one copy is kept.
 *
 * Memory is bounded, whatever the size of a blob. Every method may throw STORAGE_FAILED.
 */
export interface BlobDriver extends BlobContent, BlobUploads {
  close(): Promise<void>
}
