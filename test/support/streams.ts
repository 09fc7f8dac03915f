/** Bytes as a stream of pieces of 64 KiB, as a socket would bring them. */
export async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

/** The same, ending in an error as a broken connection does: `the connection was cut`. */
export async function* breakingAfter(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield* piecesOf(bytes)
  throw new Error('the connection was cut')
}

/** All bytes of a source that uses the memory of its chunks again. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source, (chunk) => Buffer.from(chunk)))
}

/** A source that overwrites each chunk once the next one is asked for, as it may. */
export async function* overwriting(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    const copy = Buffer.from(chunk)
    yield copy
    copy.fill(0)
  }
}
