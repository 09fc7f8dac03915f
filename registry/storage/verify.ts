import { type Digest, type DigestAlgorithm, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ByteSource } from './blob-driver.ts'
import { type RunningHash, startHash } from './running-hashes.ts'

/**
 * Checks that a finished upload of `size` bytes has the digest that its client gave, by the hash that ran along if
 * it fits, else by reading the bytes again.
 *
 * @throws DIGEST_INVALID
 */
export async function verifyDigest(
  digest: Digest,
  size: number,
  running: RunningHash | undefined,
  readAgain: () => ByteSource,
): Promise<void> {
  const algorithm = digestAlgorithm(digest)
  const actual =
    running?.algorithm === algorithm && running.size === size
      ? finishDigest(algorithm, running.hash)
      : await digestOfSource(readAgain(), algorithm)
  checkDigest(digest, actual)
}

/** @throws DIGEST_INVALID */
export function checkDigest(expected: Digest, actual: Digest): void {
  if (actual === expected) return
  throw new DrayError('DIGEST_INVALID', `the bytes have the digest ${actual}, not ${expected}`, {
    detail: { expected, actual },
  })
}

async function digestOfSource(source: ByteSource, algorithm: DigestAlgorithm): Promise<Digest> {
  const { hash } = startHash(algorithm)
  for await (const chunk of source) hash.update(chunk)
  return finishDigest(algorithm, hash)
}
