import type { ByteSource } from './blob-driver.ts'

/**
 * Cuts a stream into blocks of exactly `size` bytes; the last one may be shorter, never empty. When the stream
 * fails, what has arrived is yielded before the failure is thrown.
 */
export async function* blocksOf(source: ByteSource, size: number): AsyncGenerator<Buffer> {
  let pending: Uint8Array[] = []
  let length = 0
  let failure: { error: unknown } | undefined
  try {
    for await (const chunk of source) {
      let rest = chunk
      while (length + rest.length >= size) {
        const cut = size - length
        yield Buffer.concat([...pending, rest.subarray(0, cut)], size)
        rest = rest.subarray(cut)
        pending = []
        length = 0
      }
      if (rest.length > 0) pending.push(rest)
      length += rest.length
    }
  } catch (error) {
    failure = { error }
  }
  if (length > 0) yield Buffer.concat(pending, length)
  if (failure !== undefined) throw failure.error
}
