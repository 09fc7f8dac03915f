import type { DirectoryNode } from '../tree.ts'
import { type Chunks, planChunks, wholeFileBits } from './chunks.ts'
import type { DirectoryShape } from './directory.ts'
import {
  BLOCK_SIZE,
  CHUNK_INDEX_SIZE,
  COMPACT_INODE_SIZE,
  EXTENDED_INODE_SIZE,
  type InodeType,
} from './disk.ts'

interface InodeBase {
  readonly type: InodeType
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Modification time: not an object of its own, since there are so many. */
  readonly seconds: number
  readonly nanoseconds: number
  /** Encoded; empty when there are none. */
  readonly xattrs: Buffer
  readonly size: number
  /** How many names lead to it; counted when the image is laid out. */
  links: number
  /** Its number, which says where it is. 0 before the image is laid out. */
  nid: number
  /** First of the blocks that its data has apart from it, counted from the first of all such blocks. */
  firstBlock: number | undefined
}

/** A file, symlink, device or fifo of the image; hard links are one of these in several places. */
export interface ErofsLeaf extends InodeBase {
  readonly kind: 'file' | 'symlink'
  readonly type: Exclude<InodeType, 'directory'>
  /** Of a symlink, a binary string; '' for all else. */
  readonly target: string
  /** Of a regular file: where it begins in the archive, or where its chunks are. Of a device: its number. */
  readonly data: number | Chunks
}

/** A directory of the image. */
export interface ErofsDirectory extends InodeBase {
  readonly type: 'directory'
  readonly node: DirectoryNode<ErofsLeaf>
  readonly shape: DirectoryShape
}

export type ErofsInode = ErofsLeaf | ErofsDirectory

/**
 * Bytes of an inode with its attributes. The compact form, half as long, has no time of its own.
 *
 * @param epoch the time, in whole seconds, of inodes without one
 */
export function headSize(inode: ErofsInode, epoch: number): number {
  const size = isCompact(inode, epoch) ? COMPACT_INODE_SIZE : EXTENDED_INODE_SIZE
  return size + inode.xattrs.length
}

export function isCompact(inode: ErofsInode, epoch: number): boolean {
  const { seconds, nanoseconds, uid, gid, links, size } = inode
  const hasEpoch = seconds === epoch && nanoseconds === 0
  return hasEpoch && Math.max(uid, gid, links) <= 0xffff && size <= 0xffffffff
}

/** Whether the inode's data is named by chunk indexes behind it: a regular file that isn't empty. */
export function hasChunks(inode: ErofsInode): inode is ErofsLeaf & { type: 'file' } {
  return inode.type === 'file' && inode.size > 0
}

/** How long the chunks of a file are, as {@link Chunks} has it. */
export function chunkBitsOf({ data, size }: ErofsLeaf): number {
  return typeof data === 'number' ? wholeFileBits(size) : data.bits
}

/** EROFS's index of a file's chunks. */
export function chunkIndexesOf({ data, size }: ErofsLeaf): Buffer {
  if (typeof data !== 'number') return data.indexes
  const allocate = () => {
    throw new Error('a file in one piece needs no copies')
  }
  return planChunks({ size, dataOffset: data, sparse: undefined }, allocate).indexes
}

/** Bytes of data that the image holds for an inode: the names of a directory, the target of a symlink. */
export function ownDataSize({ type, size }: ErofsInode): number {
  return type === 'directory' || type === 'symlink' ? size : 0
}

/** Where the indexes of an inode's chunks begin, counted from the inode. */
export function indexesAt(head: number): number {
  return Math.ceil(head / CHUNK_INDEX_SIZE) * CHUNK_INDEX_SIZE
}

/** Whether the last, partial block of data can stand behind the head of an inode: it must not leave the block it begins in. */
export function tailFits(position: number, head: number, tail: number): boolean {
  return tail > 0 && ((position + head) % BLOCK_SIZE) + tail <= BLOCK_SIZE
}
