import { createHash, type Hash } from 'node:crypto'
import { DrayError } from './error.ts'

/** `algorithm:hex` of a supported algorithm, checked (image-spec, descriptor.md "Digests"). */
export type Digest = string & { readonly __brand: 'Digest' }

/** The registered algorithms that Dray computes, with the length of their hex form. */
export const DIGEST_ALGORITHMS = { sha256: 64, sha512: 128 } as const

export type DigestAlgorithm = keyof typeof DIGEST_ALGORITHMS

// The grammar of image-spec; the separators cannot repeat, so matching is linear.
const GRAMMAR = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/
const LONGEST = 7 + 1024

/** Whether Dray can compute digests of this algorithm. */
export function isDigestAlgorithm(name: string): name is DigestAlgorithm {
  return Object.hasOwn(DIGEST_ALGORITHMS, name)
}

/**
 * Checks a digest string.
 *
 * @throws DIGEST_MALFORMED when it breaks the grammar, or names an algorithm other than sha256 and sha512
 */
export function parseDigest(value: unknown): Digest {
  if (typeof value !== 'string' || value.length > LONGEST || !GRAMMAR.test(value)) {
    throw new DrayError(
      'DIGEST_MALFORMED',
      `invalid digest ${quote(value)}: expected sha256:<64 hex digits>`,
    )
  }
  const colon = value.indexOf(':')
  const algorithm = value.slice(0, colon)
  const encoded = value.slice(colon + 1)
  if (!isDigestAlgorithm(algorithm)) {
    throw new DrayError(
      'DIGEST_MALFORMED',
      `digest algorithm ${quote(algorithm)} is not supported: use sha256 or sha512`,
    )
  }
  const length = DIGEST_ALGORITHMS[algorithm]
  if (encoded.length !== length || !/^[0-9a-f]+$/.test(encoded)) {
    throw new DrayError(
      'DIGEST_MALFORMED',
      `invalid digest ${quote(value)}: ${algorithm} takes ${length} lower-case hex digits`,
    )
  }
  return value as Digest
}

/** Whether `value` is a digest that {@link parseDigest} accepts. */
export function isDigest(value: string): value is Digest {
  try {
    parseDigest(value)
    return true
  } catch {
    return false
  }
}

/** The algorithm of a digest. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm
}

/** The hex part of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** The digest of bytes held in memory. */
export function digestOf(
  bytes: Uint8Array | string,
  algorithm: DigestAlgorithm = 'sha256',
): Digest {
  return finishDigest(algorithm, createHash(algorithm).update(bytes))
}

/** Ends a running hash of `algorithm`; the hash cannot be used afterwards. */
export function finishDigest(algorithm: DigestAlgorithm, hash: Hash): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : String(value)
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text)
}
