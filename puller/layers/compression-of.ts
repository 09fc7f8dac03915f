import { type Compression, detectCompression } from './decompress.ts'

/** How a layer is compressed. @throws COMPRESSION_INVALID for a format that layers may not have */
export async function compressionOf(layer: AsyncIterable<Buffer>): Promise<Compression> {
  for await (const chunk of layer) return detectCompression(chunk)
  return 'none'
}
