import type { ChunkSource } from './chunk-source.ts'
import { cutOff, damaged, takeGzipHeader, takeGzipTrailer } from './gzip-frame.ts'
import type { InflateStep, Isal, RawInflater } from './isal.ts'

const KiB = 1024

/** Bytes given out at a time: they fit a core's cache together with what they were inflated from. */
const OUTPUT_SIZE = 512 * KiB

/** The most that libisal takes ahead of the end of a stream, in bytes. */
const AHEAD = 8

/**
 * Inflates gzip by libisal, to the same bytes and the same errors as zlib. A chunk is valid until the next one is asked for.
 *
 * @param beside whether to inflate on a thread of the pool while the caller is busy with the chunk before
 */
export async function* gunzipByIsal(
  source: ChunkSource,
  isal: Isal,
  beside: boolean,
): AsyncGenerator<Buffer> {
  const members = new Members(source, isal.createInflater(), beside)
  const spare = [Buffer.allocUnsafeSlow(OUTPUT_SIZE), Buffer.allocUnsafeSlow(OUTPUT_SIZE)] as const
  let [output, other] = spare
  let filling = members.fill(output)
  try {
    for (;;) {
      const length = await filling
      const chunk = output.subarray(0, length)
      const isLast = length < OUTPUT_SIZE
      ;[output, other] = [other, output]
      if (!isLast) {
        filling = members.fill(output)
        // The caller gets it when it asks for the next chunk.
        filling.catch(() => undefined)
      }
      if (length > 0) yield chunk
      if (isLast) return
    }
  } finally {
    // The library writes to the buffer until then.
    await filling.catch(() => undefined)
  }
}

/** The gzip members of a source, one after the other. */
class Members {
  readonly #source: ChunkSource
  readonly #inflater: RawInflater
  readonly #beside: boolean
  #isInside = false
  /** What is left of the chunk that is being inflated, and the last bytes before it. */
  #input: Buffer = Buffer.alloc(0)
  #before: Buffer = Buffer.alloc(0)
  #needsInput = true

  constructor(source: ChunkSource, inflater: RawInflater, beside: boolean) {
    this.#source = source
    this.#inflater = inflater
    this.#beside = beside
  }

  /** Fills a buffer. @returns how much of it; less than all of it at the end only */
  async fill(output: Buffer): Promise<number> {
    let filled = 0
    while (filled < output.length) {
      if (!this.#isInside && !(await this.#begin())) break
      filled += await this.#inflate(output.subarray(filled))
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

  async #inflate(output: Buffer): Promise<number> {
    if (this.#input.length === 0 && this.#needsInput) await this.#takeInput()
    const input = this.#input
    const step = await this.#step(input, output)
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

  async #step(input: Buffer, output: Buffer): Promise<InflateStep> {
    try {
      if (this.#beside) return await this.#inflater.inflateBeside(input, output)
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
