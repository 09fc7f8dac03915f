import type { ChunkSource } from './chunk-source.ts'
import { cutOff, damaged, takeGzipHeader, takeGzipTrailer } from './gzip-frame.ts'
import type { InflateStep, Isal, RawInflater } from './isal.ts'

const KiB = 1024

/** Bytes given out at a time: they fit a core's cache together with what they were inflated from. */
const CHUNK_SIZE = 512 * KiB
/** Bytes inflated at a time by another thread: it takes almost as long to wake one as to inflate a chunk. */
const BESIDE_SIZE = 4 * CHUNK_SIZE

/** The most that libisal takes ahead of the end of a stream, in bytes. */
const AHEAD = 8

/**
 * Inflates gzip by libisal, to the same bytes and the same errors as zlib. A chunk is valid until the next one is asked for.
 *
 * @param isCoreFree whether to inflate the next bytes on a thread of the pool, while the caller is busy with those before
 */
export async function* gunzipByIsal(
  source: ChunkSource,
  isal: Isal,
  isCoreFree: () => boolean,
): AsyncGenerator<Buffer> {
  const members = new Members(source, isal.createInflater())
  let [output, other] = [
    Buffer.allocUnsafeSlow(BESIDE_SIZE),
    Buffer.allocUnsafeSlow(BESIDE_SIZE),
  ] as const
  let filling: Promise<number> | undefined
  let size = CHUNK_SIZE
  try {
    for (;;) {
      const length = await (filling ?? members.fill(output.subarray(0, size), false))
      const isLast = length < size
      const filled = output.subarray(0, length)
      const beside = !isLast && isCoreFree()
      size = beside ? BESIDE_SIZE : CHUNK_SIZE
      filling = undefined
      if (beside) {
        ;[output, other] = [other, output]
        filling = members.fill(output, true)
        // The caller gets it when it asks for the next chunk.
        filling.catch(() => undefined)
      }
      for (let at = 0; at < length; at += CHUNK_SIZE) yield filled.subarray(at, at + CHUNK_SIZE)
      if (isLast) return
    }
  } finally {
    // The library writes to the buffer until then.
    await filling?.catch(() => undefined)
  }
}

/** The gzip members of a source, one after the other. */
class Members {
  readonly #source: ChunkSource
  readonly #inflater: RawInflater
  #isInside = false
  /** What is left of the chunk that is being inflated, and the last bytes before it. */
  #input: Buffer = Buffer.alloc(0)
  #before: Buffer = Buffer.alloc(0)
  #needsInput = true

  constructor(source: ChunkSource, inflater: RawInflater) {
    this.#source = source
    this.#inflater = inflater
  }

  /**
   * Fills a buffer.
   *
   * @param beside whether on a thread of the pool
   * @returns how much of it; less than all of it at the end only
   */
  async fill(output: Buffer, beside: boolean): Promise<number> {
    let filled = 0
    while (filled < output.length) {
      if (!this.#isInside && !(await this.#begin())) break
      filled += await this.#inflate(output.subarray(filled), beside)
    }
    return filled
  }

  async #begin(): Promise<boolean> {
    if ((await this.#source.peek()) === undefined) return false
    await takeGzipHeader(this.#source)
    this.#inflater.reset()
    this.#needsInput = true
    this.#isInside = true
    return true
  }

  async #inflate(output: Buffer, beside: boolean): Promise<number> {
    if (this.#input.length === 0 && this.#needsInput) await this.#takeInput()
    const input = this.#input
    const step = await this.#step(input, output, beside)
    if (step.ended) {
      await this.#end(input, step.unused)
    } else {
      if (step.produced === 0 && step.unused > 0) throw damaged('gzip data that lead nowhere')
      const used = input.length - step.unused
      this.#input = input.subarray(used)
      this.#before = Buffer.concat([this.#before, input.subarray(0, used).subarray(-AHEAD)])
      this.#before = this.#before.subarray(-AHEAD)
      this.#needsInput = step.produced < output.length
    }
    return step.produced
  }

  async #step(input: Buffer, output: Buffer, beside: boolean): Promise<InflateStep> {
    try {
      if (beside) return await this.#inflater.inflateBeside(input, output)
      return this.#inflater.inflate(input, output)
    } catch (error) {
      throw damaged(`gzip data with an ${(error as Error).message}`)
    }
  }

  async #takeInput(): Promise<void> {
    const chunk = await this.#source.peek()
    if (chunk === undefined) throw cutOff()
    this.#source.take()
    this.#input = chunk
  }

  async #end(input: Buffer, unused: number): Promise<void> {
    const ahead = Math.max(0, unused - input.length)
    this.#source.unshift(input.subarray(input.length - (unused - ahead)))
    this.#source.unshift(this.#before.subarray(this.#before.length - ahead))
    this.#input = this.#before = Buffer.alloc(0)
    this.#isInside = false
    const { crc, length } = await takeGzipTrailer(this.#source)
    if (crc !== this.#inflater.crc) throw damaged('gzip data whose crc is another')
    if (length !== this.#inflater.length) throw damaged('gzip data whose length is another')
  }
}
