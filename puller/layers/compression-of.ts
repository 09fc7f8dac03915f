import { open } from 'node:fs/promises'
import { type Compression, detectCompression } from './decompress.ts'

/** How a layer in a file is compressed. @throws COMPRESSION_INVALID for a format that layers may not have */
export async function compressionOf(path: string): Promise<Compression> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(6), 0, 6, 0)
    return detectCompression(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}
