import { createRequire } from 'node:module'
import { crc32, deflateRawSync } from 'node:zlib'

/**
 * Intel's libisal, which inflates twice as fast as zlib (Debian: libisal2). Its stream state is a C struct; the places
 * below are those of igzip_lib.h 2.30 to 2.32, and a probe finds out whether they are this library's.
 */
export interface Isal {
  createInflater(): RawInflater
}

/** One deflate stream after the other (RFC 1951), with the crc and length that gzip's trailer has. */
export interface RawInflater {
  /** Forgets the last stream. */
  reset(): void
  /** Inflates what fits, on this thread. */
  inflate(input: Buffer, output: Buffer): InflateStep
  /** {@link inflate} on a thread of the pool; the buffers are its own until then. */
  inflateBeside(input: Buffer, output: Buffer): Promise<InflateStep>
  /** CRC-32 of what the stream held so far, and its length modulo 2^32. */
  readonly crc: number
  readonly length: number
}

export interface InflateStep {
  /** Bytes of the input that are left; after the end of the stream those of earlier inputs too. */
  readonly unused: number
  /** Bytes of the output that were filled. */
  readonly produced: number
  readonly ended: boolean
}

/** What the library says of a damaged stream. */
export class IsalError extends Error {}

type Inflate = ((state: Buffer) => number) & {
  async(state: Buffer, done: (error: unknown, result: number) => void): void
}

interface Native {
  readonly init: (state: Buffer) => void
  readonly reset: (state: Buffer) => void
  readonly inflate: Inflate
  readonly address: (buffer: Buffer) => bigint
}

const LIBRARY = 'libisal.so.2'

/** struct inflate_state has 87,368 bytes; a larger one of another version must not write beyond what it gets. */
const STATE_SIZE = 256 * 1024
const NEXT_OUT = 0
const AVAIL_OUT = 8
const TOTAL_OUT = 12
const NEXT_IN = 16
const AVAIL_IN = 32
const READ_IN_LENGTH = 36
const BLOCK_STATE = 21_160
const CRC_FLAG = 21_172
const CRC = 21_176
const ISAL_BLOCK_FINISH = 5
/** Count a crc, but leave header and trailer alone: isal_inflate forgets a header that two inputs share. */
const ISAL_GZIP_NO_HDR = 2
const MESSAGES: Readonly<Record<number, string>> = {
  [-1]: 'invalid block',
  [-2]: 'invalid symbol',
  [-3]: 'invalid distance',
}

/** Loads the library if this host has it and it is one that this module knows. */
export function loadIsal(): Isal | undefined {
  try {
    const native = load()
    const isal = { createInflater: () => new Inflater(native) }
    return passesProbe(isal) ? isal : undefined
  } catch {
    return undefined
  }
}

function load(): Native {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const library = koffi.load(LIBRARY)
  return {
    init: library.func('void isal_inflate_init(uint8_t *state)'),
    reset: library.func('void isal_inflate_reset(uint8_t *state)'),
    inflate: library.func('int isal_inflate(uint8_t *state)') as Inflate,
    address: (buffer) => koffi.address(buffer),
  }
}

class Inflater implements RawInflater {
  readonly #native: Native
  readonly #state = Buffer.alloc(STATE_SIZE)

  constructor(native: Native) {
    this.#native = native
    native.init(this.#state)
    this.#state.writeUInt32LE(ISAL_GZIP_NO_HDR, CRC_FLAG)
  }

  get crc(): number {
    return this.#state.readUInt32LE(CRC)
  }

  get length(): number {
    return this.#state.readUInt32LE(TOTAL_OUT)
  }

  reset(): void {
    this.#native.reset(this.#state)
  }

  inflate(input: Buffer, output: Buffer): InflateStep {
    this.#give(input, output)
    return this.#take(output, this.#native.inflate(this.#state))
  }

  async inflateBeside(input: Buffer, output: Buffer): Promise<InflateStep> {
    this.#give(input, output)
    const result = await new Promise<number>((resolve, reject) => {
      this.#native.inflate.async(this.#state, (error, value) =>
        error ? reject(error) : resolve(value),
      )
    })
    return this.#take(output, result, input)
  }

  #give(input: Buffer, output: Buffer): void {
    const state = this.#state
    state.writeBigUInt64LE(this.#native.address(output), NEXT_OUT)
    state.writeUInt32LE(output.length, AVAIL_OUT)
    state.writeBigUInt64LE(this.#native.address(input), NEXT_IN)
    state.writeUInt32LE(input.length, AVAIL_IN)
  }

  /** The last parameter only keeps the input alive until now. */
  #take(output: Buffer, result: number, _input?: Buffer): InflateStep {
    if (result < 0) throw new IsalError(MESSAGES[result] ?? `error ${result}`)
    const state = this.#state
    const ended = state.readUInt32LE(BLOCK_STATE) === ISAL_BLOCK_FINISH
    // Up to 2.30 the bits that were taken ahead of the end stay taken.
    const ahead = ended ? state.readInt32LE(READ_IN_LENGTH) >> 3 : 0
    return {
      unused: state.readUInt32LE(AVAIL_IN) + ahead,
      produced: output.length - state.readUInt32LE(AVAIL_OUT),
      ended,
    }
  }
}

/** Inflates a known stream, byte by byte and with bytes after its end, twice. */
function passesProbe(isal: Isal): boolean {
  const plain = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * index) % 251))
  const deflated = Buffer.concat([deflateRawSync(plain), Buffer.from('after the end')])
  const inflater = isal.createInflater()
  const output = Buffer.alloc(plain.length + 100)
  for (const size of [deflated.length, 1]) {
    inflater.reset()
    let [at, filled, ended] = [0, 0, false]
    while (at < deflated.length && !ended) {
      const step = inflater.inflate(deflated.subarray(at, at + size), output.subarray(filled))
      at = Math.min(at + size, deflated.length) - step.unused
      filled += step.produced
      ended = step.ended
    }
    const isRight = ended && filled === plain.length && output.subarray(0, filled).equals(plain)
    const isAtEnd = deflated.subarray(at).toString() === 'after the end'
    if (!isRight || !isAtEnd || inflater.crc !== crc32(plain) || inflater.length !== plain.length)
      return false
  }
  return true
}
