import { ftruncateSync } from 'node:fs'
import { digestHex } from '#oci/digest.ts'
import type { LayerArchive } from '../form.ts'
import { encodeDirectoryBlock } from './directory.ts'
import {
  BLOCK_SIZE,
  chunkFormat,
  encodeHeader,
  encodeInode,
  INODE_SLOT,
  LAYOUT,
  NO_BLOCK,
  SUPER_OFFSET,
  TYPES,
} from './disk.ts'
import {
  chunkBitsOf,
  chunkIndexesOf,
  type ErofsDirectory,
  type ErofsInode,
  hasChunks,
  headSize,
  indexesAt,
  isCompact,
  ownDataSize,
  tailFits,
} from './inode.ts'
import { type ImageLayout, inodeOf } from './layout.ts'
import { createSequentialWriter, type SequentialWriter, writeAll } from './sequential.ts'

/** Of which archive the image is, and where it goes in its file. */
export interface ImageTarget extends LayerArchive {
  /** Block at which the metadata begins; what is before it, but for the header, is somebody else's. */
  readonly metaBlock: number
}

/** Writes an image: header, inodes, directories. */
export function writeImage(
  fd: number,
  layout: ImageLayout,
  { diffId, tarBytes, metaBlock }: ImageTarget,
): void {
  const dataBlock = metaBlock + Math.ceil(layout.inodeBytes / BLOCK_SIZE)
  const blocks = dataBlock + layout.blocks
  writeInodes(layout, { fd, metaBlock, dataBlock })
  const header = encodeHeader({
    rootNid: layout.inodes[0]?.nid ?? 0,
    inodes: layout.inodes.length,
    epoch: layout.epoch,
    blocks,
    metaBlock,
    tarBlocks: Math.ceil(tarBytes / BLOCK_SIZE),
    tarHash: Buffer.from(digestHex(diffId), 'hex'),
  })
  writeAll(fd, header, SUPER_OFFSET)
  ftruncateSync(fd, blocks * BLOCK_SIZE) // the last block is a whole one
}

interface Output {
  readonly fd: number
  readonly metaBlock: number
  /** The first of the blocks behind the inodes. */
  readonly dataBlock: number
}

function writeInodes(layout: ImageLayout, { fd, metaBlock, dataBlock }: Output): void {
  const meta = createSequentialWriter(fd)
  const data = createSequentialWriter(fd)
  for (const [index, inode] of layout.inodes.entries()) {
    const position = metaBlock * BLOCK_SIZE + inode.nid * INODE_SLOT
    const head = headSize(inode, layout.epoch)
    meta.write(position, encodeHead(inode, { ...layout, position, dataBlock, ino: index + 1 }))
    if (inode.xattrs.length > 0) meta.write(position + head - inode.xattrs.length, inode.xattrs)
    if (hasChunks(inode)) meta.write(position + indexesAt(head), chunkIndexesOf(inode))
    writeOwnData(inode, layout, {
      meta,
      data,
      tailAt: position + head,
      blocksAt: (dataBlock + (inode.firstBlock ?? 0)) * BLOCK_SIZE,
    })
  }
  meta.flush()
  data.flush()
}

interface HeadContext {
  readonly epoch: number
  readonly position: number
  readonly dataBlock: number
  readonly ino: number
}

function encodeHead(inode: ErofsInode, { epoch, position, dataBlock, ino }: HeadContext): Buffer {
  const { type, mode, uid, gid, size, seconds, nanoseconds, links, xattrs } = inode
  const isInline = tailFits(position, headSize(inode, epoch), ownDataSize(inode) % BLOCK_SIZE)
  const plain = isInline ? LAYOUT.inline : LAYOUT.plain
  return encodeInode({
    isExtended: !isCompact(inode, epoch),
    layout: hasChunks(inode) ? LAYOUT.chunks : plain,
    mode: TYPES[type].mode | mode,
    uid,
    gid,
    size,
    seconds,
    nanoseconds,
    links,
    data: dataField(inode, dataBlock),
    ino,
    xattrSize: xattrs.length,
  })
}

function dataField(inode: ErofsInode, dataBlock: number): number {
  if (hasChunks(inode)) return chunkFormat(chunkBitsOf(inode))
  if (inode.type === 'character' || inode.type === 'block') return Number(inode.data)
  if (inode.type === 'fifo') return 0
  return inode.firstBlock === undefined ? NO_BLOCK : dataBlock + inode.firstBlock
}

interface OwnDataOutput {
  readonly meta: SequentialWriter
  readonly data: SequentialWriter
  /** Where the last block goes if it fits behind the inode; where the blocks go. */
  readonly tailAt: number
  readonly blocksAt: number
}

/** Writes the names of a directory or the target of a symlink. */
function writeOwnData(inode: ErofsInode, layout: ImageLayout, output: OwnDataOutput): void {
  const tail = ownDataSize(inode) % BLOCK_SIZE
  const isInline = tailFits(output.tailAt, 0, tail)
  const blocks = ownDataBlocks(inode, layout)
  for (const [index, block] of blocks.entries()) {
    const isTail = index === blocks.length - 1
    if (isTail && isInline) output.meta.write(output.tailAt, block)
    else output.data.write(output.blocksAt + index * BLOCK_SIZE, block)
  }
}

function ownDataBlocks(inode: ErofsInode, layout: ImageLayout): Buffer[] {
  if (inode.type === 'directory') return directoryBlocks(inode, layout)
  if (inode.type !== 'symlink') return []
  const target = Buffer.from(inode.target, 'latin1')
  const count = Math.ceil(target.length / BLOCK_SIZE)
  return Array.from({ length: count }, (_, at) =>
    target.subarray(at * BLOCK_SIZE, (at + 1) * BLOCK_SIZE),
  )
}

function directoryBlocks(directory: ErofsDirectory, layout: ImageLayout): Buffer[] {
  const { node, shape } = directory
  const parent = node.parent === undefined ? directory : layout.directories.get(node.parent)
  const find = (name: string) => {
    if (name === '.') return directory
    return name === '..' ? parent : inodeOf(layout, node, name)
  }
  const entryOf = (name: string) => {
    const inode = find(name)
    if (inode === undefined) throw new Error('a name without an inode')
    return { name, nid: inode.nid, type: TYPES[inode.type].entry }
  }
  return shape.starts.map((start, index) => {
    const next = shape.starts[index + 1]
    const entries = shape.names.slice(start, next).map(entryOf)
    return encodeDirectoryBlock(entries, next === undefined ? shape.tail : BLOCK_SIZE)
  })
}
