import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import type { Descriptor } from '#oci/descriptor.ts'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import type { BlobSink } from '../transfer/range-writer.ts'
import { abandonPrefix, createPrefix, growPrefix, type Prefix } from '../transfer/prefix.ts'
import { type ByteRange, mergeRanges, prefixLength, totalLength } from '../transfer/ranges.ts'
import { readIfExists } from './files.ts'
import type { IngestPaths } from './layout.ts'
import { type FileLock, type LockOptions, lockFile } from './lock.ts'

/**
 * A blob on its way into the store. At most one process has it open; what it has written whole outlives it, so the
 * next one goes on from there. Nothing here is verified or visible.
 */
export class Ingest implements BlobSink {
  readonly path: string
  readonly fd: number
  /** Grows as bytes arrive, for a reader in another thread. */
  readonly prefix: Prefix
  readonly #paths: IngestPaths
  readonly #lock: FileLock
  readonly #rangesFd: number
  readonly #onBytes: (present: number) => void
  #present: ByteRange[]
  #bytes: number
  #closed = false

  private constructor(
    paths: IngestPaths,
    lock: FileLock,
    present: ByteRange[],
    onBytes: (present: number) => void,
  ) {
    this.#paths = paths
    this.#lock = lock
    this.#present = present
    this.#bytes = totalLength(present)
    this.#onBytes = onBytes
    this.path = paths.data
    this.prefix = createPrefix(prefixLength(present))
    this.fd = openSync(paths.data, constants.O_RDWR | constants.O_CREAT, 0o644)
    this.#rangesFd = openSync(paths.ranges, 'a', 0o600)
    onBytes(this.#bytes)
  }

  /**
   * Opens the ingest of a blob, waiting while another process has it. Reports how many bytes are there, at first and
   * whenever some arrive.
   *
   * @throws STORE_FAILED
   */
  static async open(
    paths: IngestPaths,
    blob: Descriptor,
    options: LockOptions & { readonly onBytes?: (present: number) => void } = {},
  ): Promise<Ingest> {
    try {
      const lock = await lockFile(paths.lock, options)
      const present = parseRanges(readIfExists(paths.ranges), blob.size)
      return new Ingest(paths, lock, present, options.onBytes ?? (() => undefined))
    } catch (error) {
      options.signal?.throwIfAborted()
      if (isDrayError(error)) throw error
      throw new DrayError('STORE_FAILED', `cannot write to ${paths.dir}: ${errorMessage(error)}`, {
        cause: error,
      })
    }
  }

  /** Bytes that are there, in whatever places. */
  get presentBytes(): number {
    return this.#bytes
  }

  present(): readonly ByteRange[] {
    return this.#present
  }

  wrote(range: ByteRange): void {
    const at = this.#present.findIndex(({ end }) => end === range.start)
    const before = at < 0 ? undefined : this.#present[at]
    if (before === undefined || (this.#present[at + 1]?.start ?? Infinity) <= range.end) {
      this.#present = mergeRanges([...this.#present, range])
      this.#bytes = totalLength(this.#present)
    } else {
      this.#present[at] = { start: before.start, end: range.end }
      this.#bytes += range.end - range.start
    }
    growPrefix(this.prefix, prefixLength(this.#present.slice(0, 1)))
    this.#onBytes(this.#bytes)
  }

  completed(range: ByteRange): void {
    writeSync(this.#rangesFd, `${range.start} ${range.end}\n`)
  }

  /** Forgets what is there. Nobody may be reading or writing it. */
  restart(): void {
    ftruncateSync(this.#rangesFd)
    this.#present = []
    this.#bytes = 0
    growPrefix(this.prefix, 0)
  }

  /** Tells the reader of the bytes that no more will come. */
  abandon(): void {
    abandonPrefix(this.prefix)
  }

  /** Lets go of it; what is whole stays for the next one. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.fd)
    closeSync(this.#rangesFd)
    this.#lock.release()
  }

  /**
   * Lets go of it and leaves nothing. The lock goes last: from then on the next one may be at work in the same
   * directory, which stays in that case.
   */
  async remove(): Promise<void> {
    if (this.#closed) return
    for (const path of [this.#paths.data, this.#paths.ranges, this.#paths.lock]) {
      await rm(path, { force: true })
    }
    try {
      await rmdir(this.#paths.dir)
    } catch (error) {
      if (!isErrno(error, 'ENOTEMPTY', 'ENOENT')) throw error
    }
    this.close()
  }
}

/** A line cut off by a crash, or one that makes no sense, counts for nothing. */
function parseRanges(bytes: Buffer | undefined, size: number): ByteRange[] {
  const ranges: ByteRange[] = []
  for (const [, start, end] of (bytes?.toString('latin1') ?? '').matchAll(
    /^([0-9]+) ([0-9]+)\n/gm,
  )) {
    const range = { start: Number(start), end: Number(end) }
    if (range.start < range.end && range.end <= size) ranges.push(range)
  }
  return mergeRanges(ranges)
}
