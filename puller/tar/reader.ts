import { DrayError } from '#oci/error.ts'
import { createCursor } from './cursor.ts'
import type { SparseExtent, TarEntry } from './entry.ts'
import { BLOCK_SIZE, isZeroBlock, parseHeader, type TarHeader } from './header.ts'
import { type Extensions, mergeMember } from './member.ts'
import { parsePax } from './pax.ts'
import { checkSparse, createSparseMapReader, parseOldSparse, SPARSE_MAP_LIMIT } from './sparse.ts'

/** The most one extended header or long name may hold, in bytes (Go's limit). */
export const EXTENDED_HEADER_LIMIT = 1024 * 1024

/**
 * What a reader tells about each entry, in the archive's order: `entry`, then `data` for a file's stored bytes from the
 * lowest offset up, then `endEntry`. `chunk` is a view of what was pushed, valid only during the call.
 */
export interface TarSink {
  entry(entry: TarEntry): void
  data(chunk: Buffer, offsetInFile: number): void
  endEntry(): void
}

/** A tar archive read as it arrives. After a throw, of the reader or of its sink, nothing more may be pushed. */
export interface TarReader {
  /** Takes the next bytes of the archive, in pieces of any size. Throws TAR_INVALID. */
  push(chunk: Buffer): void
  /** Says that the archive ends here. Throws TAR_INVALID when that is inside an entry or an extended header. */
  end(): void
}

/**
 * A reader of v7, ustar, star, GNU and PAX archives, synchronous and without copies of content.
 *
 * An archive ends with two zero blocks, or with the input at an entry's end; what follows the zero blocks is ignored. A
 * single zero block before more headers is refused, and so is whatever tar programs disagree on how to read: a malformed
 * extended header, and a global one that renames or resizes entries. Other records of global headers are ignored, as
 * containerd and umoci do. Errors are TAR_INVALID.
 */
export function createTarReader(sink: TarSink): TarReader {
  return new Reader(sink)
}

type State = 'header' | 'extended' | 'oldSparse' | 'sparseMap' | 'data' | 'padding' | 'done'

const NO_EXTENSIONS: Extensions = { pax: new Map(), longPath: undefined, longLink: undefined }
const GLOBAL_REFUSED = /^(?:path|linkpath|size|GNU\.sparse\..*)$/
const EXTENDED_TYPES = 'xgLK'

class Reader implements TarReader {
  readonly #sink: TarSink
  #state: State = 'header'
  /** Bytes of the archive taken so far. */
  #position = 0
  #zeroSeen = false
  /** The start of a block that the last chunk ended in. */
  readonly #block = Buffer.allocUnsafe(BLOCK_SIZE)
  #blockLength = 0
  #extensions = NO_EXTENSIONS
  #extendedType = ''
  #extended = Buffer.alloc(0)
  #extendedLength = 0
  /** The entry whose sparse map is being read. */
  #entry: TarEntry | undefined
  #mapReader = createSparseMapReader()
  #extents: SparseExtent[] = []
  /** Stored bytes of the current entry that are still to come, and of padding after them. */
  #remaining = 0
  #padding = 0
  #cursor = createCursor(undefined)

  constructor(sink: TarSink) {
    this.#sink = sink
  }

  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && this.#state !== 'done') at = this.#step(chunk, at)
  }

  end(): void {
    const pending = this.#extensions !== NO_EXTENSIONS || this.#blockLength > 0
    if (this.#state === 'done' || (this.#state === 'header' && !pending)) return
    throw new DrayError('TAR_INVALID', 'invalid tar archive: it is cut off inside an entry')
  }

  /** Uses up bytes of `chunk` from `at` on; returns where it stopped. */
  #step(chunk: Buffer, at: number): number {
    switch (this.#state) {
      case 'data':
        return this.#takeData(chunk, at)
      case 'extended':
        return this.#takeExtended(chunk, at)
      case 'padding':
        return this.#takePadding(chunk, at)
      default:
        return this.#takeBlock(chunk, at)
    }
  }

  #takeData(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#remaining)
    this.#position += end - at
    this.#remaining -= end - at
    this.#cursor.emit(chunk, at, end, this.#sink)
    if (this.#remaining === 0) this.#endEntry()
    return end
  }

  #takePadding(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#padding)
    this.#position += end - at
    this.#padding -= end - at
    if (this.#padding === 0) this.#state = 'header'
    return end
  }

  #takeExtended(chunk: Buffer, at: number): number {
    const length = chunk.copy(this.#extended, this.#extendedLength, at)
    this.#position += length
    this.#extendedLength += length
    if (this.#extendedLength === this.#extended.length) this.#endExtended()
    return at + length
  }

  #takeBlock(chunk: Buffer, at: number): number {
    const end = at + BLOCK_SIZE - this.#blockLength
    if (end > chunk.length) {
      this.#blockLength += chunk.copy(this.#block, this.#blockLength, at)
      return chunk.length
    }
    let block = chunk.subarray(at, end)
    if (this.#blockLength > 0) {
      block.copy(this.#block, this.#blockLength)
      block = this.#block
    }
    this.#blockLength = 0
    this.#position += BLOCK_SIZE
    this.#onBlock(block)
    return end
  }

  #onBlock(block: Buffer): void {
    if (this.#state === 'header') this.#onHeader(block)
    else if (this.#state === 'oldSparse') this.#onOldSparse(block)
    else this.#onSparseMap(block)
  }

  #onHeader(block: Buffer): void {
    if (isZeroBlock(block)) {
      if (this.#extensions !== NO_EXTENSIONS) throw invalid('an extended header without an entry')
      if (this.#zeroSeen) this.#state = 'done'
      this.#zeroSeen = true
      return
    }
    if (this.#zeroSeen) throw invalid('a zero block between entries')
    const header = parseHeader(block)
    if (EXTENDED_TYPES.includes(header.typeflag)) this.#startExtended(header)
    else this.#startMember(header)
  }

  #startExtended({ typeflag, size }: TarHeader): void {
    if (size > EXTENDED_HEADER_LIMIT) throw invalid('an extended header of more than 1 MiB')
    this.#extendedType = typeflag
    this.#extended = Buffer.allocUnsafe(size)
    this.#extendedLength = 0
    this.#padding = paddingOf(size)
    this.#state = 'extended'
    if (size === 0) this.#endExtended()
  }

  #endExtended(): void {
    this.#state = this.#padding > 0 ? 'padding' : 'header'
    const body = this.#extended
    this.#extended = EMPTY
    if (this.#extendedType === 'g') {
      for (const key of parsePax(body).keys()) {
        if (GLOBAL_REFUSED.test(key)) throw invalid(`a global extended header with ${key}`)
      }
      return
    }
    const end = body.indexOf(0)
    const name = body.subarray(0, end < 0 ? body.length : end)
    if (this.#extendedType === 'x') this.#extensions = { ...this.#extensions, pax: parsePax(body) }
    if (this.#extendedType === 'L') this.#extensions = { ...this.#extensions, longPath: name }
    if (this.#extendedType === 'K') this.#extensions = { ...this.#extensions, longLink: name }
  }

  #startMember(header: TarHeader): void {
    const { entry, sparse } = mergeMember(header, this.#extensions)
    this.#extensions = NO_EXTENSIONS
    this.#padding = paddingOf(entry.storedSize)
    if (sparse === 'none') {
      this.#startEntry(entry, undefined)
      return
    }
    this.#entry = entry
    this.#remaining = entry.storedSize
    if (sparse === 'list') {
      this.#endSparse(entry.sparse ?? [])
    } else if (sparse === 'inline') {
      this.#mapReader = createSparseMapReader()
      this.#state = 'sparseMap'
    } else {
      this.#extents = parseOldSparse(header.block, 386, 4)
      if (header.block[482] === 0) this.#endSparse(this.#extents)
      else this.#state = 'oldSparse'
    }
  }

  #onOldSparse(block: Buffer): void {
    this.#extents.push(...parseOldSparse(block, 0, 21))
    if (this.#extents.length * 24 > SPARSE_MAP_LIMIT) throw invalid('a sparse map of over 1 MiB')
    if (block[504] === 0) this.#endSparse(this.#extents)
  }

  #onSparseMap(block: Buffer): void {
    if (this.#remaining < BLOCK_SIZE) throw invalid('a sparse map longer than its entry')
    this.#remaining -= BLOCK_SIZE
    const extents = this.#mapReader.add(block)
    if (extents !== undefined) this.#endSparse(extents)
  }

  #endSparse(extents: readonly SparseExtent[]): void {
    const entry = this.#entry
    if (entry === undefined) return
    this.#entry = undefined
    const storedSize = this.#remaining
    const sparse = checkSparse(extents, entry.size, storedSize)
    this.#startEntry({ ...entry, storedSize }, sparse)
  }

  #startEntry(entry: TarEntry, sparse: readonly SparseExtent[] | undefined): void {
    this.#remaining = entry.storedSize
    this.#cursor = createCursor(sparse)
    this.#state = 'data'
    this.#sink.entry({ ...entry, sparse, dataOffset: this.#position })
    if (this.#remaining === 0) this.#endEntry()
  }

  #endEntry(): void {
    this.#state = this.#padding > 0 ? 'padding' : 'header'
    this.#sink.endEntry()
  }
}

const EMPTY = Buffer.alloc(0)

function paddingOf(size: number): number {
  return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE
}

function invalid(what: string): DrayError {
  return new DrayError('TAR_INVALID', `invalid tar archive: it has ${what}`)
}
