import { randomUUID } from 'node:crypto'
import { type Digest, digestAlgorithm, finishDigest } from '#oci/digest.ts'
import type { ByteSource, UploadKey } from '../blob-driver.ts'
import { uploadUnknown } from '../errors.ts'
import { startHash } from '../running-hashes.ts'
import { checkDigest } from '../verify.ts'
import { quietly, type S3Context } from './append.ts'
import { isSameData, type Pointers, sizeOf } from './pointers.ts'
import { SegmentWriter } from './segment-writer.ts'
import type { Segment } from './segments.ts'

interface Put {
  readonly digest: Digest
  readonly source: ByteSource
  readonly signal: AbortSignal | undefined
}

/**
 * `BlobContent.put` on S3. A journal names every object before it appears, so that whatever a crash leaves is found
 * when uploads expire. The last object appears only when the digest is right, so that nothing is left if not.
 */
export async function putBlob(
  context: S3Context,
  pointers: Pointers,
  { digest, source, signal }: Put,
): Promise<number> {
  const { store, layout, sizes, buffers } = context
  const key = `put-${randomUUID()}` as UploadKey
  const journal = createJournal(context, key, digest)
  const keyOf = (n: number) => layout.dataObject(key, n, randomUUID())
  const writer = new SegmentWriter({ store, buffers, sizes, keyOf, onSegment: journal.note })
  const { hash } = startHash(digestAlgorithm(digest))
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted()
      hash.update(chunk)
      await writer.write(chunk)
    }
    checkDigest(digest, finishDigest(digestAlgorithm(digest), hash))
    const segments = await journal.decide(() => writer.finish())
    const blob = { size: sizeOf(segments), segments }
    const pointer = await pointers.create(digest, blob)
    await quietly(isSameData(pointer, blob) ? journal.end() : writer.discard().then(journal.end))
    return blob.size
  } catch (error) {
    // Once decided, the bytes may be the blob by now; what they are is settled when uploads expire.
    if (!journal.isDecided()) await quietly(writer.discard().then(journal.end))
    throw error
  }
}

interface Journal {
  /** Says that objects are there or about to be. */
  note(segments: readonly Segment[]): Promise<void>
  /** Says with the last note that the objects are to be the blob. */
  decide(finish: () => Promise<readonly Segment[]>): Promise<readonly Segment[]>
  isDecided(): boolean
  end(): Promise<void>
}

/** The states of an upload that nobody else adds to; only its expiry may end it meanwhile, which the next note notices. */
function createJournal({ sessions }: S3Context, key: UploadKey, digest: Digest): Journal {
  let sequence = 0
  let ended: Digest | undefined
  let isDecided = false

  async function note(segments: readonly Segment[]): Promise<void> {
    isDecided = ended !== undefined
    const session = { sequence, size: sizeOf(segments), segments, ended }
    if (!(await sessions.publish(key, session))) {
      isDecided = false
      throw uploadUnknown()
    }
    sequence++
  }

  return {
    note,
    async decide(finish) {
      ended = digest
      const segments = await finish()
      if (!isDecided && segments.length > 0) await note(segments)
      return segments
    },
    isDecided: () => isDecided,
    end: () => sessions.forget(key, sequence),
  }
}
