import { BLOCK_SIZE, smallBuffer } from './disk.ts'

const ENTRY_SIZE = 12

/** A name in a directory, with the number and the type of its inode. */
export interface DirectoryEntry {
  /** Binary string. */
  readonly name: string
  readonly nid: number
  readonly type: number
}

/** How the entries of a directory are spread over blocks. */
export interface DirectoryShape {
  /** Sorted by their bytes, `.` and `..` among them. */
  readonly names: readonly string[]
  /** Where in `names` each block begins. */
  readonly starts: readonly number[]
  /** Bytes used of the last block. */
  readonly tail: number
}

/** @param children names without `.` and `..`, in any order */
export function shapeDirectory(children: Iterable<string>): DirectoryShape {
  const names = ['.', '..', ...children].sort()
  const starts = [0]
  let used = 0
  for (const [index, name] of names.entries()) {
    const size = ENTRY_SIZE + name.length
    if (used + size > BLOCK_SIZE) {
      starts.push(index)
      used = 0
    }
    used += size
  }
  return { names, starts, tail: used }
}

/** Bytes of a directory's data. */
export function directorySize({ starts, tail }: DirectoryShape): number {
  return (starts.length - 1) * BLOCK_SIZE + tail
}

/** One block of a directory: its entries, then their names without anything between them. The last one may be shorter. */
export function encodeDirectoryBlock(entries: readonly DirectoryEntry[], size: number): Buffer {
  const block = smallBuffer(size)
  let nameAt = entries.length * ENTRY_SIZE
  for (const [index, { name, nid, type }] of entries.entries()) {
    const at = index * ENTRY_SIZE
    block.writeUInt32LE(nid % 2 ** 32, at)
    block.writeUInt32LE(Math.floor(nid / 2 ** 32), at + 4)
    block.writeUInt16LE(nameAt, at + 8)
    block.writeUInt8(type, at + 10)
    block.write(name, nameAt, 'latin1')
    nameAt += name.length
  }
  return block
}
