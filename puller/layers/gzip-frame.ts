import { crc32 } from 'node:zlib'
import { DrayError } from '#oci/error.ts'
import type { ChunkSource } from './chunk-source.ts'

const HEADER_SIZE = 10
const TRAILER_SIZE = 8
const MAGIC = 0x8b1f
const DEFLATE = 8
const FLAG = { headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10, reserved: 0xe0 }

/** What a gzip member says that it held. */
export interface GzipTrailer {
  readonly crc: number
  /** Modulo 2^32. */
  readonly length: number
}

/** Takes the header of a gzip member (RFC 1952, 2.3). @throws COMPRESSION_INVALID for what zlib refuses */
export async function takeGzipHeader(source: ChunkSource): Promise<void> {
  let crc = 0
  const bytes = async (length: number) => {
    const taken = await take(source, length)
    crc = crc32(taken, crc)
    return taken
  }
  const text = async () => {
    for await (const piece of takeText(source)) crc = crc32(piece, crc)
  }
  const head = await bytes(HEADER_SIZE)
  if (head.readUInt16LE() !== MAGIC) throw damaged('bytes that are no gzip')
  if (head[2] !== DEFLATE) throw damaged('an unknown gzip method')
  const flags = head[3] ?? 0
  if ((flags & FLAG.reserved) !== 0) throw damaged('unknown gzip flags')
  if ((flags & FLAG.extra) !== 0) await bytes((await bytes(2)).readUInt16LE())
  if ((flags & FLAG.name) !== 0) await text()
  if ((flags & FLAG.comment) !== 0) await text()
  if ((flags & FLAG.headerCrc) === 0) return
  const expected = crc & 0xffff
  if ((await bytes(2)).readUInt16LE() !== expected) throw damaged('a gzip header with a wrong crc')
}

/** Takes the trailer of a gzip member. @throws COMPRESSION_INVALID when the input ends inside it */
export async function takeGzipTrailer(source: ChunkSource): Promise<GzipTrailer> {
  const bytes = await take(source, TRAILER_SIZE)
  return { crc: bytes.readUInt32LE(0), length: bytes.readUInt32LE(4) }
}

/** The error for a gzip stream that has something wrong in it. */
export function damaged(what: string): DrayError {
  return new DrayError('COMPRESSION_INVALID', `it cannot be decompressed: it has ${what}`)
}

/** The error for a gzip stream that ends too early. */
export function cutOff(): DrayError {
  return new DrayError('COMPRESSION_INVALID', 'it is cut off inside its gzip data')
}

async function take(source: ChunkSource, length: number): Promise<Buffer> {
  const bytes = await source.peekAtLeast(length)
  if (bytes.length < length) throw cutOff()
  if (bytes.length > 0) source.take()
  source.unshift(bytes.subarray(length))
  return bytes.subarray(0, length)
}

/** Takes a text with the zero that ends it. */
async function* takeText(source: ChunkSource): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await source.peek()
    if (chunk === undefined) throw cutOff()
    source.take()
    const end = chunk.indexOf(0) + 1
    if (end > 0) source.unshift(chunk.subarray(end))
    yield end > 0 ? chunk.subarray(0, end) : chunk
    if (end > 0) return
  }
}
