import { closeSync, openSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import type { TarEntry } from '../../tar/entry.ts'
import type { LayerArchive, LayerForm } from '../form.ts'
import type { DirectoryNode, Place } from '../tree.ts'
import { type Chunks, planChunks } from './chunks.ts'
import { BLOCK_LIMIT, BLOCK_SIZE, CHUNK_INDEX_SIZE, encodeDevice, HEADER_END } from './disk.ts'
import { writeImage } from './image.ts'
import { layOutImage } from './layout.ts'
import type { ErofsLeaf } from './inode.ts'
import { writeAll } from './sequential.ts'
import { encodeXattrs } from './xattrs.ts'

/** The files that a layer is kept in. Neither is there before. */
export interface ErofsFiles {
  readonly tar: string
  readonly image: string
}

/**
 * Keeps a layer as its tar, as it came, and an EROFS image of metadata that points into it. What of the content can't be pointed
 * at, sparse files whose runs don't lie on blocks, is copied into the image while it arrives; all else in it is written at the
 * end.
 */
export function createErofsForm(files: ErofsFiles): LayerForm<ErofsLeaf> {
  return new ErofsForm(files)
}

const COPIES_START = 4096 // a page, so that what is copied lies as well as in the file
const NONE = Buffer.alloc(0)

class ErofsForm implements LayerForm<ErofsLeaf> {
  readonly #tar: number
  readonly #image: number
  readonly #open: number[] = []
  /** Bytes of the tar so far. */
  #length = 0
  /** Block after the last one that content was copied to. */
  #nextCopy = COPIES_START / BLOCK_SIZE
  /** Chunks of the entry whose content arrives, when some of it is to be copied. */
  #copying: Chunks | undefined
  /** Encoded attributes by their bytes: most files of a layer have the same ones. */
  readonly #xattrs = new Map<string, Buffer>()
  readonly skippedDevices = 0
  skippedXattrs = 0

  constructor({ tar, image }: ErofsFiles) {
    this.#tar = this.#create(tar)
    this.#image = this.#create(image)
  }

  makeDirectory(): void {}

  makeLeaf(_: Place<ErofsLeaf>, entry: TarEntry): ErofsLeaf | undefined {
    const { type, uid, gid, mtime } = entry
    if (type === 'directory' || type === 'hardlink') return undefined
    const xattrs = this.#encodeXattrs(entry, type)
    const owner = { type, uid, gid, ...mtime, xattrs, links: 0, nid: 0, firstBlock: undefined }
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
        writeAll(this.#image, chunk.subarray(at, end), position)
      }
      at = end
    }
  }

  endEntry(): void {
    this.#copying = undefined
  }

  keep(chunk: Buffer): void {
    writeAll(this.#tar, chunk, this.#length)
    this.#length += chunk.length
  }

  finish(root: DirectoryNode<ErofsLeaf>, archive: LayerArchive): void {
    const layout = layOutImage(root)
    this.skippedXattrs += layout.skippedXattrs
    const hasCopies = this.#nextCopy > COPIES_START / BLOCK_SIZE
    const metaBlock = hasCopies ? this.#nextCopy : HEADER_END / BLOCK_SIZE
    writeImage(this.#image, layout, { ...archive, metaBlock })
    this.abort()
  }

  abort(): void {
    for (const fd of this.#open.splice(0)) closeSync(fd)
  }

  #create(path: string): number {
    const fd = openSync(path, 'wx', 0o600)
    this.#open.push(fd)
    return fd
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
