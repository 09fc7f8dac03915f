import { writeSync } from 'node:fs'
import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import type { OnBytes } from '../registry/direct.ts'
import { type ByteRange, gapsIn } from './ranges.ts'

/** What came of a range is noted after this many bytes, so that it outlives this process. */
const NOTE_EVERY = 4 * 1024 * 1024

/** Where the bytes of a blob go; an ingest of the store. */
export interface BlobSink {
  readonly fd: number
  /** What is there already, in order. */
  present(): readonly ByteRange[]
  /** Notes that these bytes have been written. */
  wrote(range: ByteRange): void
  /** Notes that a range is whole, so that it outlives this process. */
  completed(range: ByteRange): void
}

/** Puts the bytes of one answer in their place. */
export interface RangeWriter {
  /**
   * Writes what `read` gives out, in order, and where it is missing: bytes that are there may have been read and hashed.
   *
   * @returns what `read` returns; when that is false it gave out nothing
   * @throws CONTENT_MISMATCH and REGISTRY_UNREACHABLE, both retryable; STORE_FAILED
   */
  writeAll(read: (onBytes: OnBytes) => Promise<boolean>): Promise<boolean>
}

/** @param onBytes hears how far the writer is, how many bytes came and how many of them were missing; may ask to wait */
export function createRangeWriter(
  sink: BlobSink,
  range: ByteRange,
  onBytes: (at: number, length: number, fresh: number) => Promise<void> | undefined,
): RangeWriter {
  let at = range.start
  let noted = at
  const note = () => {
    if (at > noted) sink.completed({ start: noted, end: at })
    noted = at
  }
  const write = (chunk: Buffer) => {
    const end = at + chunk.length
    if (end > range.end) throw mismatch('more', range)
    const fresh = writeMissing(sink, chunk, at)
    at = end
    if (at - noted >= NOTE_EVERY) note()
    return onBytes(at, chunk.length, fresh)
  }
  return {
    async writeAll(read) {
      try {
        if (!(await read(write))) return false
      } catch (error) {
        throw isDrayError(error) ? error : broken(error, at)
      } finally {
        note()
      }
      if (at < range.end) throw mismatch('fewer', range)
      return true
    },
  }
}

/** @returns how many bytes were missing */
function writeMissing(sink: BlobSink, chunk: Buffer, at: number): number {
  let fresh = 0
  for (const { start, end } of gapsIn({ start: at, end: at + chunk.length }, sink.present())) {
    writeChunk(sink.fd, chunk.subarray(start - at, end - at), start)
    sink.wrote({ start, end })
    fresh += end - start
  }
  return fresh
}

function writeChunk(fd: number, chunk: Buffer, position: number): void {
  try {
    for (let done = 0; done < chunk.length; ) {
      done += writeSync(fd, chunk, done, chunk.length - done, position + done)
    }
  } catch (error) {
    throw new DrayError('STORE_FAILED', `cannot write to the local store: ${errorMessage(error)}`, {
      cause: error,
    })
  }
}

function broken(error: unknown, at: number): DrayError {
  return new DrayError(
    'REGISTRY_UNREACHABLE',
    `the connection broke at byte ${at} of a blob: ${errorMessage(error)}`,
    { cause: error, retryable: true },
  )
}

function mismatch(what: 'more' | 'fewer', range: ByteRange): DrayError {
  return new DrayError(
    'CONTENT_MISMATCH',
    `the registry sent ${what} bytes than the ${range.end - range.start} asked for`,
    { retryable: true },
  )
}
