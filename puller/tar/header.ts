import { DrayError } from '#oci/error.ts'

/** Tar's unit: headers are one block, contents are padded to whole blocks. */
export const BLOCK_SIZE = 512

/** Which of the four header layouts a block has; they differ in what follows the first 257 bytes. */
export type HeaderFormat = 'v7' | 'ustar' | 'star' | 'gnu'

/** One header block as it stands, before any extended header is applied. */
export interface TarHeader {
  readonly format: HeaderFormat
  /** One character. */
  readonly typeflag: string
  readonly path: Buffer
  readonly linkPath: Buffer
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtimeSeconds: number
  /** The block itself, for the fields of devices and of old sparse files. Valid only until the next chunk. */
  readonly block: Buffer
}

/** Whether a block is all zeros: two of them end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZEROS)
}

const ZEROS = Buffer.alloc(BLOCK_SIZE)

/**
 * Reads a v7, ustar, star or GNU header. Numbers are octal or, GNU's way, base-256. The paths are copies.
 *
 * @throws TAR_INVALID when the checksum or a number is wrong, or a size is negative or beyond 2^53 - 1
 */
export function parseHeader(block: Buffer): TarHeader {
  if (!hasValidChecksum(block)) {
    throw new DrayError('TAR_INVALID', 'invalid tar archive: wrong header checksum')
  }
  const format = formatOf(block)
  return {
    format,
    typeflag: String.fromCharCode(block[156] ?? 0),
    path: withPrefix(block, format),
    linkPath: text(block, 157, 100),
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: natural(block, 108, 8, 'uid'),
    gid: natural(block, 116, 8, 'gid'),
    size: natural(block, 124, 12, 'size'),
    mtimeSeconds: number(block, 136, 12, 'mtime'),
    block,
  }
}

/** Major and minor number of a device entry; (0, 0) in a v7 header, which has none. Throws TAR_INVALID. */
export function parseDevice(header: TarHeader): { readonly major: number; readonly minor: number } {
  if (header.format === 'v7') return { major: 0, minor: 0 }
  return {
    major: natural(header.block, 329, 8, 'device'),
    minor: natural(header.block, 337, 8, 'device'),
  }
}

/** A number that may not be negative. Throws TAR_INVALID. */
export function natural(block: Buffer, at: number, length: number, field: string): number {
  const value = number(block, at, length, field)
  if (value < 0) throw new DrayError('TAR_INVALID', `invalid tar archive: negative ${field}`)
  return value
}

function hasValidChecksum(block: Buffer): boolean {
  // The checksum's own eight bytes count as spaces; old writers summed signed bytes.
  let unsigned = 8 * 0x20
  let negatives = 0
  for (let index = 0; index < BLOCK_SIZE; index++) {
    if (index >= 148 && index < 156) continue
    const byte = block[index] ?? 0
    unsigned += byte
    negatives += byte >> 7
  }
  const stored = number(block, 148, 8, 'checksum')
  return stored === unsigned || stored === unsigned - 256 * negatives
}

function formatOf(block: Buffer): HeaderFormat {
  const magic = block.toString('latin1', 257, 265)
  if (magic === 'ustar  \0') return 'gnu'
  if (!magic.startsWith('ustar\0')) return 'v7'
  return block.toString('latin1', 508, 512) === 'tar\0' ? 'star' : 'ustar'
}

function withPrefix(block: Buffer, format: HeaderFormat): Buffer {
  const name = text(block, 0, 100)
  if (format === 'v7' || format === 'gnu') return name
  const prefix = text(block, 345, format === 'star' ? 131 : 155)
  return prefix.length === 0 ? name : Buffer.concat([prefix, SLASH, name])
}

const SLASH = Buffer.from('/')

const EMPTY = Buffer.alloc(0)

function text(block: Buffer, at: number, length: number): Buffer {
  if (block[at] === 0) return EMPTY
  const end = block.indexOf(0, at)
  return Buffer.from(block.subarray(at, end < 0 || end > at + length ? at + length : end))
}

function number(block: Buffer, at: number, length: number, field: string): number {
  const first = block[at] ?? 0
  const value = first & 0x80 ? base256(block, at, length) : octal(block, at, length)
  if (Number.isSafeInteger(value)) return value
  throw new DrayError('TAR_INVALID', `invalid tar archive: ${field} is not a number in range`)
}

function base256(block: Buffer, at: number, length: number): number {
  const negative = ((block[at] ?? 0) & 0x40) !== 0
  let value = negative ? ((block[at] ?? 0) & 0x7f) - 0x80 : (block[at] ?? 0) & 0x7f
  for (let index = at + 1; index < at + length; index++) value = value * 256 + (block[index] ?? 0)
  return value
}

/** Spaces and NULs around the digits are padding; a NUL after digits ends the field. NaN when malformed. */
function octal(block: Buffer, at: number, length: number): number {
  let index = at
  const end = at + length
  while (index < end && isPadding(block[index])) index++
  let value = 0
  for (; index < end && !isPadding(block[index]); index++) {
    const digit = (block[index] ?? 0) - 0x30
    if (digit < 0 || digit > 7) return Number.NaN
    value = value * 8 + digit
  }
  if (block[index] === 0) return value
  for (; index < end; index++) if (!isPadding(block[index])) return Number.NaN
  return value
}

function isPadding(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0
}
