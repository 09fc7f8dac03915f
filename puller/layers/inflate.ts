import type { Transform } from 'node:stream'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { ChunkSource } from './chunk-source.ts'

/** One of Node's decompression streams. */
export type InflateEngine = Transform & { readonly bytesWritten: number }

/**
 * What a fresh engine makes of the source, up to where it stops by itself or the source ends. Bytes that it left are put back.
 *
 * @throws COMPRESSION_INVALID when the engine fails; errors of the source as they are
 */
export async function* inflate(source: ChunkSource, engine: InflateEngine): AsyncGenerator<Buffer> {
  const feeder = feed(source, engine)
  try {
    for await (const chunk of engine) yield chunk as Buffer
  } catch (error) {
    throw feeder.failure() ?? invalidStream(error)
  } finally {
    feeder.stop()
    engine.destroy()
  }
  source.unshift(feeder.leftover())
}

interface Feeder {
  /** The error that the source gave, if it did. */
  failure(): unknown
  stop(): void
  /** What was handed to the engine and not used by it. */
  leftover(): Buffer
}

function feed(source: ChunkSource, engine: InflateEngine): Feeder {
  let stopped = false
  let failure: unknown
  let given = 0
  let recent: Buffer[] = []

  async function run(): Promise<void> {
    for (;;) {
      const chunk = await source.peek()
      if (stopped) return
      if (chunk === undefined) {
        engine.end()
        return
      }
      source.take()
      given += chunk.length
      recent = unused(recent, given - chunk.length - engine.bytesWritten)
      recent.push(chunk)
      if (!engine.write(chunk)) await drained(engine)
    }
  }
  run().catch((error: unknown) => {
    failure = error
    engine.destroy(error instanceof Error ? error : new Error(errorMessage(error)))
  })
  return {
    failure: () => failure,
    stop: () => {
      stopped = true
    },
    leftover: () => Buffer.concat(unused(recent, given - engine.bytesWritten)),
  }
}

/** The last `length` bytes of a list of chunks. */
function unused(chunks: readonly Buffer[], length: number): Buffer[] {
  const kept: Buffer[] = []
  let missing = length
  for (const chunk of chunks.toReversed()) {
    if (missing <= 0) break
    kept.unshift(chunk.subarray(Math.max(0, chunk.length - missing)))
    missing -= chunk.length
  }
  return kept
}

function drained(engine: InflateEngine): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      engine.off('drain', done)
      engine.off('close', done)
      resolve()
    }
    engine.on('drain', done)
    engine.on('close', done)
  })
}

/** The error for an engine's. */
export function invalidStream(error: unknown): DrayError {
  return new DrayError('COMPRESSION_INVALID', `it cannot be decompressed: ${errorMessage(error)}`, {
    cause: error,
  })
}
