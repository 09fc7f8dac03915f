/** What a tar entry can be. A GNU sparse file and a contiguous file are a `file`. */
export type TarEntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'hardlink'
  | 'character'
  | 'block'
  | 'fifo'

/** A moment: `nanoseconds` is 0 to 999,999,999 and counts forward, also before 1970. */
export interface TarTime {
  readonly seconds: number
  readonly nanoseconds: number
}

const NS = 1_000_000_000n

/** A moment given in nanoseconds, as file times come from the kernel. */
export function timeFromNs(ns: bigint): TarTime {
  const nanoseconds = ((ns % NS) + NS) % NS
  return { seconds: Number((ns - nanoseconds) / NS), nanoseconds: Number(nanoseconds) }
}

/** A run of bytes of a sparse file that the archive stores; what lies between two runs is zeros. */
export interface SparseExtent {
  readonly offset: number
  readonly length: number
}

/** Whose a file is. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** One member of a tar archive with every extended header applied. Sizes and offsets are bytes, at most 2^53 - 1. */
export interface TarEntry {
  /** The name as stored: raw bytes, not cleaned, never holding a NUL. */
  readonly path: Buffer
  readonly type: TarEntryType
  /** Permission bits with setuid, setgid and sticky: at most 0o7777. */
  readonly mode: number
  /** 0 to 2^32 - 2. */
  readonly uid: number
  readonly gid: number
  /** Length of a `file`, holes included; 0 for every other type. */
  readonly size: number
  readonly mtime: TarTime
  /** Target of a `symlink` or `hardlink`, raw bytes. */
  readonly linkPath: Buffer | undefined
  /** Numbers of a `character` or `block` device, not range-checked; 0 for every other type. */
  readonly devMajor: number
  readonly devMinor: number
  /** Extended attributes by name; a name is a binary string (one character a byte). */
  readonly xattrs: ReadonlyMap<string, Buffer>
  /** The stored runs of a sparse file, ascending and apart; undefined when the file is stored whole. */
  readonly sparse: readonly SparseExtent[] | undefined
  /** Where the stored content begins in the archive, and its length without padding. */
  readonly dataOffset: number
  readonly storedSize: number
}

const PRINTED = 200

/** A name of an archive for a message: quoted, control characters escaped, cut at 200 characters. */
export function printable(path: Buffer): string {
  const text = path.subarray(0, 4 * PRINTED).toString('utf8')
  return JSON.stringify(text.length > PRINTED ? `${text.slice(0, PRINTED)}...` : text)
}
