import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestOf, isDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ByteRange } from '../transfer/ranges.ts'
import type { HttpResponse } from './http.ts'

/** Checks a manifest against what it was asked for by and what the registry says of it. @throws CONTENT_MISMATCH */
export function checkManifest(
  what: string,
  selector: string,
  bytes: Buffer,
  response: HttpResponse,
): Digest {
  const claimed = response.headers['docker-content-digest']
  for (const digest of [selector, claimed]) {
    if (typeof digest !== 'string' || !isDigest(digest)) continue
    const actual = digestOf(bytes, digestAlgorithm(digest))
    if (actual !== digest) {
      throw new DrayError(
        'CONTENT_MISMATCH',
        `${what}: the manifest should be ${digest}, but its bytes are ${actual}`,
      )
    }
  }
  return isDigest(selector) ? selector : digestOf(bytes)
}

/**
 * Where the bytes of an answer belong, and whether they are the whole blob although a range was asked for.
 *
 * @throws CONTENT_MISMATCH when the answer isn't what was asked for; retryable where the next one may be
 */
export function checkRange(
  what: string,
  blob: Descriptor,
  range: ByteRange | undefined,
  response: HttpResponse,
): { readonly start: number; readonly whole: boolean } {
  const mismatch = (why: string, retryable = false) =>
    new DrayError('CONTENT_MISMATCH', `${what}: ${why}`, { retryable })
  const encoding = response.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw mismatch(`the registry encoded it as ${encoding}, which changes its bytes`)
  }
  const length = response.headers['content-length']
  if (response.status === 200) {
    if (length !== undefined && Number(length) !== blob.size) {
      throw mismatch(`it has ${length} bytes, the manifest says ${blob.size}`)
    }
    return { start: 0, whole: range !== undefined }
  }
  const sent = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/.exec(
    response.headers['content-range'] ?? '',
  )
  const [, start, last, total] = sent ?? []
  const wanted = range ?? { start: 0, end: blob.size }
  if (Number(start) !== wanted.start || Number(last) !== wanted.end - 1) {
    throw mismatch(
      `asked for bytes ${wanted.start}-${wanted.end - 1}, got ${response.headers['content-range']}`,
      true,
    )
  }
  if (total !== '*' && Number(total) !== blob.size) {
    throw mismatch(`it has ${total} bytes, the manifest says ${blob.size}`)
  }
  return { start: wanted.start, whole: false }
}
