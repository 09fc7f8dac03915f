import { zstdDecompressSync } from 'node:zlib'
import { invalidStream } from './inflate.ts'

const BLOCK_CONTENT_MAX = 128 * 1024 // RFC 8878, 3.1.1.2.4
const BLOCKS_MAX = 4
const DICTIONARY_ID_SIZES = [0, 1, 2, 4]
const CONTENT_SIZE_SIZES = [0, 2, 4, 8]

/**
 * The length of the zstd frame (RFC 8878, 3.1.1) that `bytes` begins with, if all of it is there and it has so few blocks that
 * its content is at most 512 KiB; undefined otherwise, also when it is malformed.
 */
export function smallFrameLength(bytes: Buffer): number | undefined {
  const descriptor = bytes[4]
  if (descriptor === undefined) return undefined
  const isSingleSegment = (descriptor & 0x20) !== 0
  const contentSizeSize = CONTENT_SIZE_SIZES[descriptor >> 6] ?? 0
  let at = 5
  at += DICTIONARY_ID_SIZES[descriptor & 3] ?? 0
  at += isSingleSegment ? Math.max(contentSizeSize, 1) : contentSizeSize + 1
  const checksumSize = descriptor & 4
  for (let blocks = 0; blocks < BLOCKS_MAX; blocks++) {
    if (at + 3 > bytes.length) return undefined
    const header = bytes.readUIntLE(at, 3)
    const isRepeated = ((header >> 1) & 3) === 1
    at += 3 + (isRepeated ? 1 : header >> 3)
    if ((header & 1) === 0) continue
    return at + checksumSize <= bytes.length ? at + checksumSize : undefined
  }
  return undefined
}

/** The content of a frame that {@link smallFrameLength} measured. Throws COMPRESSION_INVALID. */
export function inflateSmallFrame(frame: Buffer): Buffer {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: BLOCKS_MAX * BLOCK_CONTENT_MAX })
  } catch (error) {
    throw invalidStream(error)
  }
}
