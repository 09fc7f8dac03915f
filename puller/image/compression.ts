import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { DrayError } from '#oci/error.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'

const MiB = 1024 * 1024

/** What layers are compressed with that Dray compresses itself. */
export type CompressionFormat = 'gzip' | 'zstd'

/** How layers are compressed; from {@link parseCompression}. */
export interface LayerCompression {
  readonly format: CompressionFormat
  readonly level: number
}

/** The levels that each format has, and the one that most programs take. */
const LEVELS = {
  gzip: { most: 9, usual: 6 },
  zstd: { most: 22, usual: 3 },
} as const satisfies Record<CompressionFormat, object>

export const USUAL_COMPRESSION: LayerCompression = { format: 'gzip', level: LEVELS.gzip.usual }

/** @throws USAGE for a level that the format doesn't have */
export function parseCompression(
  format: CompressionFormat = 'gzip',
  level: number = LEVELS[format].usual,
): LayerCompression {
  const { most } = LEVELS[format]
  if (level >= 1 && level <= most) return { format, level }
  throw new DrayError('USAGE', `${format} has the levels 1 to ${most}, and no level ${level}`)
}

/** The media type of layers that are compressed so. */
export function layerMediaType({ format }: LayerCompression): string {
  return format === 'gzip' ? MEDIA_TYPE.ociLayerGzip : MEDIA_TYPE.ociLayerZstd
}

/**
 * Compresses what is written to it. The same bytes give the same result, however they come in chunks: no name and no time goes
 * into a header, and zstd never hears of the end together with the last bytes, or it would do without blocks.
 */
export function createCompressor({ format, level }: LayerCompression) {
  // With room for nothing, whoever writes waits for each chunk, and so ends it only after the last one was taken.
  const sizes = { chunkSize: MiB, writableHighWaterMark: 1 }
  if (format === 'gzip') return createGzip({ ...sizes, level })
  return createZstdCompress({ ...sizes, params: { [constants.ZSTD_c_compressionLevel]: level } })
}
