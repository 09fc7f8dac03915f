import type { ByteSource } from './blob-driver.ts'

/** A source read to its end or to its failure, whichever comes first. */
export interface WatchedSource {
  /** The bytes that came; ends without an error in either case. */
  readonly bytes: ByteSource
  /** @throws what the source failed with, if it did */
  rethrow(): void
}

/** Tells the failure of a source, whose bytes so far count, from a failure of the store that they go to. */
export function watchSource(
  source: ByteSource,
  onChunk: (chunk: Uint8Array) => void = () => {},
): WatchedSource {
  let failure: { readonly error: unknown } | undefined
  async function* read(): AsyncGenerator<Uint8Array> {
    const chunks = source[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => {
          failure = { error }
          return { done: true, value: undefined } as const
        })
        if (next.done) return
        onChunk(next.value)
        yield next.value
      }
    } finally {
      if (failure === undefined) await chunks.return?.()
    }
  }
  return {
    bytes: read(),
    rethrow() {
      if (failure !== undefined) throw failure.error
    },
  }
}

/**
 * Cuts a stream into blocks of exactly `size` bytes; the last one may be shorter, never empty. All are the same memory,
 * used again once the next one is asked for: new memory for each costs more than all else that is done with it.
 */
export async function* blocksOf(source: ByteSource, size: number): AsyncGenerator<Buffer> {
  const block = Buffer.allocUnsafeSlow(size)
  let length = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(chunk.length - at, size - length)
      block.set(chunk.subarray(at, at + taken), length)
      at += taken
      length += taken
      if (length < size) break
      yield block
      length = 0
    }
  }
  if (length > 0) yield block.subarray(0, length)
}
