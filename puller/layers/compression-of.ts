import { type Compression, detectCompression, type OtherFormat } from './decompress.ts'

/** How a layer, or an archive, is compressed. */
export async function compressionOf(
  layer: AsyncIterable<Buffer>,
): Promise<Compression | OtherFormat> {
  for await (const chunk of layer) return detectCompression(chunk)
  return 'none'
}
