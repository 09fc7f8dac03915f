/** A stream of bytes that can be looked at before it is taken, in pieces big enough to be worth a thread's while. */
export interface ChunkSource {
  /** The next chunk, without taking it; undefined at the end. What an earlier call promised is promised again. */
  peek(): Promise<Buffer | undefined>
  /** Takes the chunk that the last `peek` returned. */
  take(): void
  /** Puts bytes back in front. Only when the last chunk peeked at was taken or is still to come. */
  unshift(bytes: Buffer): void
  /** What is next, without taking it: a chunk of at least `length` bytes, or all that there is before the end. */
  peekAtLeast(length: number): Promise<Buffer>
  /** Takes `length` bytes and forgets them; false when the end comes first. */
  skip(length: number): Promise<boolean>
  /** Tells the stream that no more is wanted. */
  close(): Promise<void>
}

/** A source over `input`, whose chunks are joined until they have `minimum` bytes. */
export function createChunkSource(input: AsyncIterable<Buffer>, minimum: number): ChunkSource {
  return new Source(input, minimum)
}

class Source implements ChunkSource {
  readonly #iterator: AsyncIterator<Buffer>
  readonly #minimum: number
  #front: Buffer | undefined
  #next: Promise<Buffer | undefined> | undefined
  #done = false
  #gathering = false

  constructor(input: AsyncIterable<Buffer>, minimum: number) {
    this.#iterator = input[Symbol.asyncIterator]()
    this.#minimum = minimum
  }

  async peek(): Promise<Buffer | undefined> {
    if (this.#front !== undefined) return this.#front
    this.#next ??= this.#gather()
    return await this.#next
  }

  take(): void {
    if (this.#front !== undefined) this.#front = undefined
    else this.#next = undefined
  }

  unshift(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#front = this.#front === undefined ? bytes : Buffer.concat([bytes, this.#front])
  }

  async peekAtLeast(length: number): Promise<Buffer> {
    let bytes: Buffer = Buffer.alloc(0)
    while (bytes.length < length) {
      const chunk = await this.peek()
      if (chunk === undefined) break
      this.take()
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    }
    this.unshift(bytes)
    return bytes
  }

  async skip(length: number): Promise<boolean> {
    let left = length
    while (left > 0) {
      const chunk = await this.peek()
      if (chunk === undefined) return false
      this.take()
      this.unshift(chunk.subarray(left))
      left -= Math.min(left, chunk.length)
    }
    return true
  }

  async close(): Promise<void> {
    if (this.#done) return
    this.#done = true
    const closed = this.#iterator.return?.()
    // A generator waiting for the network ends only when that answers; nobody should wait for it.
    if (this.#gathering) closed?.catch(() => {})
    else await closed
  }

  async #gather(): Promise<Buffer | undefined> {
    const chunks: Buffer[] = []
    let length = 0
    while (length < this.#minimum && !this.#done) {
      this.#gathering = true
      const { done, value } = await this.#iterator.next()
      this.#gathering = false
      if (done === true) {
        this.#done = true
      } else if (value.length > 0) {
        chunks.push(value)
        length += value.length
      }
    }
    if (chunks.length === 0) return undefined
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  }
}
