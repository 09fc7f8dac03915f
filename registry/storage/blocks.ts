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

/** Cuts a stream into blocks of exactly `size` bytes; the last one may be shorter, never empty. */
export async function* blocksOf(source: ByteSource, size: number): AsyncGenerator<Buffer> {
  let pending: Uint8Array[] = []
  let length = 0
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
  if (length > 0) yield Buffer.concat(pending, length)
}
