/**
 * The parts of EROFS's on-disk format that layers use (Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h). All
 * numbers are little-endian.
 */

/** Tar's unit, so that contents can stay where they are in the archive. Images of such blocks need Linux 6.4. */
export const BLOCK_SIZE = 512
export const BLOCK_BITS = 9

/** Inodes begin at multiples of this; their number (nid) counts them from the start of the metadata area. */
export const INODE_SLOT = 32
export const COMPACT_INODE_SIZE = 32
export const EXTENDED_INODE_SIZE = 64

/** Where the super block, with the table of devices behind it, begins and ends. */
export const SUPER_OFFSET = 1024
export const HEADER_END = SUPER_OFFSET + BLOCK_SIZE

/** The number of blocks that an address can have; the last address stands for a hole. */
export const BLOCK_LIMIT = 0xffffffff
export const NO_BLOCK = 0xffffffff

/** How an inode's data is stored. */
export const LAYOUT = { plain: 0, inline: 2, chunks: 4 } as const

/** Type bits of a mode, as in stat(2), and the number that directory entries have for them. */
export const TYPES = {
  file: { mode: 0o100000, entry: 1 },
  directory: { mode: 0o040000, entry: 2 },
  character: { mode: 0o020000, entry: 3 },
  block: { mode: 0o060000, entry: 4 },
  fifo: { mode: 0o010000, entry: 5 },
  symlink: { mode: 0o120000, entry: 7 },
} as const

export type InodeType = keyof typeof TYPES

const MAGIC = 0xe0f5e1e2
const COMPAT_MTIME = 0x2
const INCOMPAT_CHUNKED_FILE = 0x4
const INCOMPAT_DEVICE_TABLE = 0x8
const SUPER_SIZE = 128
const DEVICE_SLOT_SIZE = 128

/** What the super block says of the image and of the tar, its second device. */
export interface ImageHeader {
  readonly rootNid: number
  readonly inodes: number
  /** The modification time of compact inodes, in whole seconds. */
  readonly epoch: number
  readonly blocks: number
  /** Block at which inode numbers begin to count. */
  readonly metaBlock: number
  readonly tarBlocks: number
  /** 32 bytes that tell the tar from any other one. */
  readonly tarHash: Buffer
}

/** The bytes from SUPER_OFFSET to HEADER_END. They have no checksum: fsck.erofs 1.8 crashes on one of so small a block. */
export function encodeHeader(header: ImageHeader): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE)
  block.writeUInt32LE(MAGIC, 0)
  block.writeUInt32LE(COMPAT_MTIME, 8)
  block.writeUInt8(BLOCK_BITS, 12)
  block.writeUInt16LE(header.rootNid, 14)
  block.writeBigUInt64LE(BigInt(header.inodes), 16)
  block.writeBigInt64LE(BigInt(header.epoch), 24)
  block.writeUInt32LE(header.blocks, 36)
  block.writeUInt32LE(header.metaBlock, 40)
  header.tarHash.copy(block, 48, 0, 16) // the volume's UUID
  block.writeUInt32LE(INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE, 80)
  block.writeUInt16LE(1, 86) // devices besides this one
  block.writeUInt16LE((SUPER_OFFSET + SUPER_SIZE) / DEVICE_SLOT_SIZE, 88)
  block.write(header.tarHash.toString('hex'), SUPER_SIZE, 64, 'latin1')
  block.writeUInt32LE(header.tarBlocks, SUPER_SIZE + 64)
  return block
}

/** A buffer of zeros that shares its memory with others: a layer has more of them than the allocator likes. */
export function smallBuffer(size: number): Buffer {
  return Buffer.allocUnsafe(size).fill(0)
}

/** What an inode holds but its extended attributes and its data. */
export interface InodeFields {
  readonly isExtended: boolean
  readonly layout: (typeof LAYOUT)[keyof typeof LAYOUT]
  /** With the type's bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly seconds: number
  readonly nanoseconds: number
  readonly links: number
  /** First block, device number or chunk format, as the layout has it. */
  readonly data: number
  /** What 32-bit programs see as its number. */
  readonly ino: number
  /** Bytes of the attributes behind it. */
  readonly xattrSize: number
}

/** One inode, in its compact form where `isExtended` is false: without time, and with 16 bits for owner and links. */
export function encodeInode(inode: InodeFields): Buffer {
  const { isExtended } = inode
  const bytes = smallBuffer(isExtended ? EXTENDED_INODE_SIZE : COMPACT_INODE_SIZE)
  bytes.writeUInt16LE((inode.layout << 1) | (isExtended ? 1 : 0), 0)
  bytes.writeUInt16LE(inode.xattrSize === 0 ? 0 : (inode.xattrSize - 12) / 4 + 1, 2)
  bytes.writeUInt16LE(inode.mode, 4)
  bytes.writeUInt32LE(inode.data, 16)
  bytes.writeUInt32LE(inode.ino, 20)
  if (!isExtended) {
    bytes.writeUInt16LE(inode.links, 6)
    bytes.writeUInt32LE(inode.size, 8)
    bytes.writeUInt16LE(inode.uid, 24)
    bytes.writeUInt16LE(inode.gid, 26)
    return bytes
  }
  bytes.writeBigUInt64LE(BigInt(inode.size), 8)
  bytes.writeUInt32LE(inode.uid, 24)
  bytes.writeUInt32LE(inode.gid, 28)
  bytes.writeBigInt64LE(BigInt(inode.seconds), 32)
  bytes.writeUInt32LE(inode.nanoseconds, 40)
  bytes.writeUInt32LE(inode.links, 44)
  return bytes
}

const CHUNK_WITH_INDEXES = 0x20
/** The most that a chunk can be longer than a block, as a power of two. */
export const CHUNK_BITS_LIMIT = 31
export const CHUNK_INDEX_SIZE = 8

/** The chunk format of an inode whose chunks are `BLOCK_SIZE << bits` long and lie on two devices. */
export function chunkFormat(bits: number): number {
  return CHUNK_WITH_INDEXES | bits
}

/** Says where a chunk is: device 0 is the image itself, 1 the tar. */
export function writeChunkIndex(
  indexes: Buffer,
  at: number,
  { device, block }: { readonly device: 0 | 1; readonly block: number },
): void {
  indexes.writeUInt16LE(device, at * CHUNK_INDEX_SIZE + 2)
  indexes.writeUInt32LE(block, at * CHUNK_INDEX_SIZE + 4)
}

/** A device number as the kernel packs it into 32 bits (linux/kdev_t.h). */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}
