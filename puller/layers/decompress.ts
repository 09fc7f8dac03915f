import { createGunzip, createZstdDecompress } from 'node:zlib'
import { DrayError } from '#oci/error.ts'
import { type ChunkSource, createChunkSource } from './chunk-source.ts'
import { inflate } from './inflate.ts'
import { inflateSmallFrame, smallFrameLength } from './zstd-frame.ts'

/** How a layer blob is compressed, by its first bytes. */
export type Compression = 'gzip' | 'zstd' | 'none'

/** Options of {@link decompress}. */
export interface DecompressOptions {
  /** The most bytes to give out: the bound of a decompression bomb. Default 1 TiB. */
  readonly maxBytes?: number
  /** What inflates gzip. Default zlib, by Node. */
  readonly gunzip?: Gunzip | undefined
  /** What unpacks formats that layers may not have. Default: they are refused. */
  readonly others?: ExpandOther | undefined
}

/** Inflates all gzip members of a source. @throws COMPRESSION_INVALID */
export type Gunzip = (source: ChunkSource) => AsyncGenerator<Buffer>

/** A format that archives come in, and layers of registries don't. */
export type OtherFormat = 'xz' | 'bzip2' | 'lz4' | 'lzip'

/** Unpacks a source of another format. @throws COMPRESSION_INVALID */
export type ExpandOther = (format: OtherFormat, source: ChunkSource) => AsyncGenerator<Buffer>

const KIB = 1024
const MAX_BYTES = 2 ** 40
/** Bytes handed to the thread pool, and got from it, at a time: zlib's default of 16 KiB spends its time in calls. */
const INPUT_SIZE = 256 * KIB
const OUTPUT_SIZE = 1024 * KIB

const MAGIC_SIZE = 6 // of xz, the longest
const SKIPPABLE_HEADER = 8
const OTHERS: readonly (readonly [OtherFormat, Buffer])[] = [
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from('\xfd7zXZ\0', 'latin1')],
  ['lz4', Buffer.from('\x04\x22\x4d\x18', 'latin1')],
  ['lzip', Buffer.from('LZIP')],
]

/** Which compression a blob's first six or more bytes show; media types are not asked, since builders get them wrong. */
export function detectCompression(head: Buffer): Compression | OtherFormat {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  if (head.length >= 4 && (head.readUInt32LE() === 0xfd2fb528 || isSkippable(head))) return 'zstd'
  const [other] = OTHERS.find(([, magic]) => head.subarray(0, magic.length).equals(magic)) ?? []
  return other ?? 'none'
}

/** The default {@link ExpandOther}. */
// biome-ignore lint/correctness/useYield: it refuses whatever comes
async function* refuse(format: OtherFormat): AsyncGenerator<Buffer> {
  throw new DrayError(
    'COMPRESSION_INVALID',
    `it is compressed with ${format} (${format} -d unpacks it), and only gzip and zstd are understood`,
  )
}

/**
 * The uncompressed bytes of a layer blob that is gzip (RFC 1952), zstd (RFC 8878) or not compressed at all; of an empty blob,
 * nothing. Several gzip members or zstd frames give their contents one after the other, skippable frames nothing. Bytes after
 * the last one that begin no other, zeros included, are refused, as Go's gzip reader does. At most a few MiB are in flight: the
 * thread pool works ahead of the consumer by one chunk. Chunks may be kept unless `gunzip` says otherwise; ending the iteration
 * early ends `input`'s too.
 *
 * @throws COMPRESSION_INVALID for a damaged, truncated or unsupported stream, or one that exceeds `maxBytes`
 */
export async function* decompress(
  input: AsyncIterable<Buffer>,
  options: DecompressOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { maxBytes = MAX_BYTES, gunzip = gunzipByZlib, others = refuse } = options
  const source = createChunkSource(input, INPUT_SIZE)
  let bytes = 0
  try {
    const compression = detectCompression(await source.peekAtLeast(MAGIC_SIZE))
    for await (const chunk of expand(source, compression, { gunzip, others })) {
      bytes += chunk.length
      if (bytes > maxBytes) {
        throw new DrayError(
          'COMPRESSION_INVALID',
          `it has more than ${maxBytes} bytes uncompressed`,
        )
      }
      yield chunk
    }
  } finally {
    await source.close()
  }
}

async function* expand(
  source: ChunkSource,
  compression: Compression | OtherFormat,
  { gunzip, others }: { readonly gunzip: Gunzip; readonly others: ExpandOther },
): AsyncGenerator<Buffer> {
  if (compression === 'gzip') {
    yield* gunzip(source)
    return
  }
  if (compression === 'zstd') {
    yield* expandZstd(source)
    return
  }
  if (compression !== 'none') {
    yield* others(compression, source)
    return
  }
  for (let chunk = await source.peek(); chunk !== undefined; chunk = await source.peek()) {
    source.take()
    yield chunk
  }
}

/** The default {@link Gunzip}. Its chunks may be kept. */
export async function* gunzipByZlib(source: ChunkSource): AsyncGenerator<Buffer> {
  yield* inflate(source, createGunzip(ENGINE))
  if ((await source.peek()) === undefined) return
  throw new DrayError('COMPRESSION_INVALID', 'it has bytes after the end of its gzip data')
}

/** Node's engine stops after one frame. Small ones, of which zstd:chunked layers have thousands, aren't worth an engine each. */
async function* expandZstd(source: ChunkSource): AsyncGenerator<Buffer> {
  while (await skipToFrame(source)) {
    const next = await source.peek()
    const length = next === undefined ? undefined : smallFrameLength(next)
    if (next === undefined || length === undefined) {
      yield* inflate(source, createZstdDecompress(ENGINE))
      continue
    }
    source.take()
    source.unshift(next.subarray(length))
    yield inflateSmallFrame(next.subarray(0, length))
  }
}

/** Moves past skippable frames; false at the end of the input. */
async function skipToFrame(source: ChunkSource): Promise<boolean> {
  for (;;) {
    const header = await source.peekAtLeast(SKIPPABLE_HEADER)
    if (header.length < SKIPPABLE_HEADER || !isSkippable(header)) return header.length > 0
    if (!(await source.skip(SKIPPABLE_HEADER + header.readUInt32LE(4)))) {
      throw new DrayError('COMPRESSION_INVALID', 'it is cut off inside a zstd frame')
    }
  }
}

function isSkippable(header: Buffer): boolean {
  return (header.readUInt32LE() & 0xfffffff0) >>> 0 === 0x184d2a50 // RFC 8878, 3.1.2
}

const ENGINE = {
  chunkSize: OUTPUT_SIZE,
  readableHighWaterMark: OUTPUT_SIZE,
  writableHighWaterMark: INPUT_SIZE,
}
