import { DrayError } from '#oci/error.ts'
import type { TarEntry } from '../../tar/entry.ts'
import type { LayerForm } from '../form.ts'
import type { DirectoryNode, Place } from '../tree.ts'
import { type Chunks, planChunks } from './chunks.ts'
import { BLOCK_LIMIT, BLOCK_SIZE, CHUNK_INDEX_SIZE, encodeDevice, HEADER_END } from './disk.ts'
import { type ImageSource, writeImage } from './image.ts'
import { type ImageLayout, layOutImage } from './layout.ts'
import type { ErofsLeaf } from './inode.ts'
import { writeAll } from './sequential.ts'
import { encodeXattrs } from './xattrs.ts'

/** Keeps a layer as an EROFS image of metadata that points into the layer's tar. */
export interface ErofsForm extends LayerForm<ErofsLeaf> {
  /** Writes the image of the finished tree. @returns its length in bytes */
  writeImage(source: ImageSource): number
}

/**
 * @param fd an empty file for the image. What of the content can't be pointed at, sparse files whose runs don't lie on blocks, is
 *   written to it while it arrives; the rest by `writeImage`.
 */
export function createErofsForm(fd: number): ErofsForm {
  return new Form(fd)
}

const COPIES_START = 4096 // a page, so that what is copied lies as well as in the file
const NONE = Buffer.alloc(0)

class Form implements ErofsForm {
  readonly #fd: number
  /** Block after the last one that content was copied to. */
  #nextCopy = COPIES_START / BLOCK_SIZE
  /** Chunks of the entry whose content arrives, when some of it is to be copied. */
  #copying: Chunks | undefined
  /** Encoded attributes by their bytes: most files of a layer have the same ones. */
  readonly #xattrs = new Map<string, Buffer>()
  #layout: ImageLayout | undefined
  readonly skippedDevices = 0
  skippedXattrs = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  makeDirectory(): void {}

  makeLeaf(_: Place<ErofsLeaf>, entry: TarEntry): ErofsLeaf | undefined {
    const { type, uid, gid, mtime } = entry
    if (type === 'directory' || type === 'hardlink') return undefined
    const xattrs = this.#encodeXattrs(entry, type)
    const owner = { type, uid, gid, mtime, xattrs, links: 0, nid: 0, firstBlock: undefined }
    if (type === 'symlink') {
      const target = entry.linkPath?.toString('latin1') ?? ''
      return { kind: type, ...owner, mode: 0o777, size: target.length, target, data: 0 }
    }
    const data = type === 'file' ? this.#place(entry) : encodeDevice(entry.devMajor, entry.devMinor)
    return { kind: 'file', ...owner, mode: entry.mode, size: entry.size, target: '', data }
  }

  makeLink(): void {}

  makeWhiteout(): void {}

  remove(): void {}

  write(chunk: Buffer, offsetInFile: number): void {
    if (this.#copying === undefined) return
    const { bits, indexes } = this.#copying
    const length = BLOCK_SIZE * 2 ** bits
    for (let at = 0; at < chunk.length; ) {
      const offset = offsetInFile + at
      const index = Math.floor(offset / length) * CHUNK_INDEX_SIZE
      const end = Math.min(chunk.length, at + length - (offset % length))
      if (indexes.readUInt16LE(index + 2) === 0) {
        const position = indexes.readUInt32LE(index + 4) * BLOCK_SIZE + (offset % length)
        writeAll(this.#fd, chunk.subarray(at, end), position)
      }
      at = end
    }
  }

  endEntry(): void {
    this.#copying = undefined
  }

  finish(root: DirectoryNode<ErofsLeaf>): void {
    this.#layout = layOutImage(root)
    this.skippedXattrs += this.#layout.skippedXattrs
  }

  abort(): void {}

  writeImage(source: ImageSource): number {
    if (this.#layout === undefined) throw new Error('the tree is not finished')
    const hasCopies = this.#nextCopy > COPIES_START / BLOCK_SIZE
    const metaBlock = hasCopies ? this.#nextCopy : HEADER_END / BLOCK_SIZE
    return writeImage(this.#fd, this.#layout, { ...source, metaBlock })
  }

  /** Where the content of a regular file is; a file that is stored whole needs no more than its offset. */
  #place({ size, dataOffset, sparse }: TarEntry): number | Chunks {
    if (sparse === undefined) return dataOffset
    const before = this.#nextCopy
    const chunks = planChunks({ size, dataOffset, sparse }, (bytes) => this.#allocate(bytes))
    if (this.#nextCopy > before) this.#copying = chunks
    return chunks
  }

  #allocate(bytes: number): number {
    const block = this.#nextCopy
    this.#nextCopy += Math.ceil(bytes / BLOCK_SIZE)
    if (this.#nextCopy < BLOCK_LIMIT) return block
    throw new DrayError('LAYER_INVALID', 'the layer has too large sparse files')
  }

  #encodeXattrs(entry: TarEntry, type: ErofsLeaf['type']): Buffer {
    if (entry.xattrs.size === 0) return NONE
    const { bytes, skipped } = encodeXattrs(entry, type)
    this.skippedXattrs += skipped
    const key = bytes.toString('latin1')
    const known = this.#xattrs.get(key)
    if (known === undefined) this.#xattrs.set(key, bytes)
    return known ?? bytes
  }
}
