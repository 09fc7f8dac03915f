import { createReadStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestOf } from '#oci/digest.ts'
import { DrayError, errorMessage } from '#oci/error.ts'
import { type Manifest, parseManifest } from '#oci/manifest.ts'
import { fileSize, readIfExists, replaceFile } from './files.ts'
import { blobPath } from './layout.ts'
import { isUnreadable } from './unreadable.ts'

const MiB = 1024 * 1024

/** Blobs of one OCI image layout. What it hands out as bytes has been checked against its digest. */
export interface BlobSource {
  readonly dir: string
  /** Whether a blob of this digest and size is there. */
  has(blob: Descriptor): Promise<boolean>
  /** A small blob. @throws LAYOUT_INVALID when it is missing, CONTENT_MISMATCH */
  readSmall(blob: Descriptor): Promise<Buffer>
  /** Bytes of a blob that is there, from `start` on, unverified. */
  read(blob: Descriptor, start?: number): AsyncIterable<Buffer>
}

/** Blobs that are a file each. */
export interface BlobFiles extends BlobSource {
  /** The file that holds a blob, whether it is there or not; its bytes are unverified. */
  pathOf(blob: Descriptor): string
}

/**
 * Blobs of the OCI image layout in `dir`, which need not exist yet.
 *
 * @param mend what to do about a blob that is missing or damaged, for errors
 */
export function openBlobs(dir: string, mend = 'copy the image there again'): BlobFiles {
  return {
    dir,
    has: async (blob) => (await fileSize(blobPath(dir, blob.digest))) === blob.size,
    async readSmall(blob) {
      const path = blobPath(dir, blob.digest)
      const bytes = readBytes(path, mend)
      if (bytes === undefined)
        throw new DrayError('LAYOUT_INVALID', `${dir} lacks blob ${blob.digest}: ${mend}`)
      const actual = digestOf(bytes, digestAlgorithm(blob.digest))
      if (actual === blob.digest) return bytes
      throw new DrayError(
        'CONTENT_MISMATCH',
        `${path} is damaged, its bytes are ${actual}: ${mend}`,
      )
    },
    read: (blob, start = 0) =>
      createReadStream(blobPath(dir, blob.digest), { start, highWaterMark: MiB }),
    pathOf: (blob) => blobPath(dir, blob.digest),
  }
}

function readBytes(path: string, mend: string): Buffer | undefined {
  try {
    return readIfExists(path)
  } catch (cause) {
    if (!isUnreadable(cause)) throw cause
    const why = errorMessage(cause)
    throw new DrayError('CONTENT_MISMATCH', `${path} cannot be read (${why}): ${mend}`, { cause })
  }
}

/** Adds a small blob, whose digest the caller knows to be right. */
export async function writeSmallBlob(
  dir: string,
  digest: Digest,
  bytes: Uint8Array,
): Promise<void> {
  const path = blobPath(dir, digest)
  await mkdir(dirname(path), { recursive: true })
  await replaceFile(path, bytes)
}

/** Reads a manifest of a layout. @throws LAYOUT_INVALID, CONTENT_MISMATCH, MANIFEST_INVALID */
export async function readManifest(source: BlobSource, descriptor: Descriptor): Promise<Manifest> {
  return parseManifest(await source.readSmall(descriptor), descriptor.mediaType)
}
