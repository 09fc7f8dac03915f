import { randomUUID } from 'node:crypto'
import { type Digest, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import type { ByteSource, UploadKey } from '../blob-driver.ts'
import { startHash } from '../running-hashes.ts'
import { checkDigest } from '../verify.ts'
import type { S3Context } from './append.ts'
import { isSameData, type Pointers } from './pointers.ts'
import { SegmentWriter } from './segment-writer.ts'

/** `BlobContent.put` on S3: the last object is completed only when the digest is right, so that nothing is left if not. */
export async function putBlob(
  { store, layout, sizes, buffers }: S3Context,
  pointers: Pointers,
  digest: Digest,
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<number> {
  const key = `put-${randomUUID()}` as UploadKey
  const keyOf = (n: number) => layout.dataObject(key, n, randomUUID())
  const writer = new SegmentWriter({ store, buffers, sizes, keyOf })
  const algorithm = digestAlgorithm(digest)
  const { hash } = startHash(algorithm)
  let size = 0
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted()
      hash.update(chunk)
      size += chunk.length
      await writer.write(chunk)
    }
    checkDigest(digest, finishDigest(algorithm, hash))
    const blob = { size, segments: await writer.finish() }
    const pointer = await pointers.create(digest, blob)
    if (!isSameData(pointer, blob)) await writer.discard()
    return size
  } catch (error) {
    await writer.discard()
    throw error
  }
}
