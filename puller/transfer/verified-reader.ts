import { createHash, type Hash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'

const MiB = 1024 * 1024

/** Where reading can begin again without reading everything before it, in bytes. */
const CHECKPOINT_EVERY = 16 * MiB

/** Bytes of a blob from `start` to its end, unverified. */
export type ReadBlob = (start: number) => AsyncIterable<Buffer>

/** A blob that is verified while it is read. */
export interface VerifiedReader {
  /**
   * Reads from a byte, which an earlier reading must have come to, to the end. The last piece isn't handed out before
   * size and digest match, so that nobody gets a blob that is whole and wrong. Fails with CONTENT_MISMATCH.
   */
  open(start: number): Readable
}

/** @param onBytes hears how far the reader is */
export function createVerifiedReader(
  blob: Descriptor,
  read: ReadBlob,
  onBytes: (at: number) => void = () => undefined,
): VerifiedReader {
  const algorithm = digestAlgorithm(blob.digest)
  const checkpoints: Checkpoint[] = [{ at: 0, hash: createHash(algorithm) }]

  async function* readFrom(start: number): AsyncGenerator<Buffer> {
    const from = checkpoints.findLast(({ at }) => at <= start) as Checkpoint
    const hash = from.hash.copy()
    let { at } = from
    let held: Buffer | undefined
    for await (const chunk of read(at)) {
      hash.update(chunk)
      const fresh = chunk.subarray(Math.max(0, start - at))
      at += chunk.length
      if (at > blob.size) throw mismatch(blob, `more than ${blob.size} bytes came`)
      const last = checkpoints.at(-1) as Checkpoint
      if (at >= last.at + CHECKPOINT_EVERY) checkpoints.push({ at, hash: hash.copy() })
      if (fresh.length === 0) continue
      if (held !== undefined) yield held
      held = fresh
      onBytes(at)
    }
    if (at < blob.size) throw mismatch(blob, `${at} of ${blob.size} bytes came`)
    const actual: Digest = finishDigest(algorithm, hash)
    if (actual !== blob.digest) throw mismatch(blob, `its bytes are ${actual}`)
    if (held !== undefined) yield held
  }
  return {
    open: (start) => Readable.from(readFrom(start), { objectMode: false, highWaterMark: MiB }),
  }
}

interface Checkpoint {
  readonly at: number
  readonly hash: Hash
}

function mismatch({ digest }: Descriptor, why: string): DrayError {
  return new DrayError('CONTENT_MISMATCH', `blob ${digest} is damaged where it comes from: ${why}`)
}
