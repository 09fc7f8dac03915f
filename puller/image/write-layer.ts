import { createHash, type Hash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, finishDigest } from '#oci/digest.ts'
import { blobPath } from '../store/layout.ts'
import type { Lease } from '../store/lease.ts'
import {
  createCompressor,
  type LayerCompression,
  layerMediaType,
  USUAL_COMPRESSION,
} from './compression.ts'

/** A layer that was written, and the digest of the tar inside. */
export interface WrittenLayer {
  readonly descriptor: Descriptor
  readonly diffId: Digest
}

export interface WriteLayerOptions {
  /** The image layout that gets the blob. */
  readonly layoutDir: string
  /** Where it is written first; on the same file system. */
  readonly stageDir: string
  /** Keeps the blob, where the layout is the local store. */
  readonly lease?: Lease | undefined
  /** Default: gzip. */
  readonly compression?: LayerCompression | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Compresses a tar into a blob of an image layout. The same tar gives the same blob.
 */
export async function writeLayer(
  tar: AsyncIterable<Buffer>,
  options: WriteLayerOptions,
): Promise<WrittenLayer> {
  const { layoutDir, stageDir, lease, compression = USUAL_COMPRESSION, signal } = options
  await mkdir(stageDir, { recursive: true, mode: 0o700 })
  const temporary = join(stageDir, crypto.randomUUID())
  const tarHash = createHash('sha256')
  const blobHash = createHash('sha256')
  let size = 0
  await pipeline(
    tar,
    (chunks: AsyncIterable<Buffer>) => hashed(chunks, tarHash),
    createCompressor(compression),
    (chunks: AsyncIterable<Buffer>) => hashed(chunks, blobHash, (bytes) => (size += bytes)),
    createWriteStream(temporary, { mode: 0o644, flush: true }),
    { signal: signal ?? new AbortController().signal },
  )
  const digest = finishDigest('sha256', blobHash)
  const path = blobPath(layoutDir, digest)
  await lease?.keep({ blobs: [digest] })
  await mkdir(dirname(path), { recursive: true })
  await rename(temporary, path)
  const descriptor = { mediaType: layerMediaType(compression), digest, size }
  return { descriptor, diffId: finishDigest('sha256', tarHash) }
}

async function* hashed(
  chunks: AsyncIterable<Buffer>,
  hash: Hash,
  count: (bytes: number) => void = () => undefined,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk)
    count(chunk.length)
    yield chunk
  }
}
