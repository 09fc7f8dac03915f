import { type Digest, type DigestAlgorithm, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ByteSource } from './blob-driver.ts'
import { type DigestQuestion, type RunningHashes, startHash } from './running-hashes.ts'

/**
 * Checks that a finished upload has the digest that its client gave, by the hash that ran along if there is one, else
 * by reading the bytes again.
 *
 * @throws DIGEST_INVALID
 */
export async function verifyDigest(
  digest: Digest,
  { key, size }: Pick<DigestQuestion, 'key' | 'size'>,
  hashes: RunningHashes,
  readAgain: () => ByteSource,
): Promise<void> {
  const algorithm = digestAlgorithm(digest)
  const known = await hashes.finish({ key, size, algorithm })
  checkDigest(digest, known ?? (await digestOfSource(readAgain(), algorithm)))
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
