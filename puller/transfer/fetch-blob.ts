import { writeSync } from 'node:fs'
import type { LimitFunction } from 'p-limit'
import type { Descriptor } from '#oci/descriptor.ts'
import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import type { BlobResponse, RepositoryClient } from '../registry/client.ts'
import { type ByteRange, missingRanges } from './ranges.ts'
import { type RetryOptions, withRetries } from './retry.ts'

const MiB = 1024 * 1024

/** Size of one range request, in bytes: big enough that a round trip is small beside it. */
export const RANGE_SIZE = 8 * MiB

/** Range requests of one blob in flight at once. */
const LANES = 4

/** Where the bytes of a blob go; an ingest of the store. */
export interface BlobSink {
  readonly fd: number
  /** What is there already. */
  present(): readonly ByteRange[]
  /** Notes that these bytes have been written. */
  wrote(range: ByteRange): void
  /** Notes that a range is whole, so that it outlives this process. */
  completed(range: ByteRange): void
}

export interface FetchOptions {
  readonly signal: AbortSignal
  /** Shared by all blobs of a pull: how many requests are under way at once. */
  readonly limit: LimitFunction
  readonly rangeSize?: number
  readonly retry?: Omit<RetryOptions, 'signal'>
}

/**
 * Fetches what a sink lacks of a blob: closed ranges in parallel, each written at its offset and tried again alone
 * when it breaks. A registry that sends the whole blob whatever is asked gets one request.
 *
 * The bytes are not verified here: whoever reads the sink does.
 *
 * @throws REGISTRY_UNREACHABLE, REGISTRY_FAILED, CONTENT_MISMATCH
 */
export async function fetchBlob(
  client: RepositoryClient,
  blob: Descriptor,
  sink: BlobSink,
  options: FetchOptions,
): Promise<void> {
  const [first, ...rest] = missingRanges(blob.size, sink.present(), options.rangeSize ?? RANGE_SIZE)
  if (first === undefined) return
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const fetchOne = (range: ByteRange) =>
    options.limit(() => fetchRange(client, blob, range, sink, { ...options, signal }))

  // The first answer tells whether this registry knows ranges.
  if (await fetchOne(first)) return
  const lanes = Array.from({ length: Math.min(LANES, rest.length) }, async () => {
    for (let range = rest.shift(); range !== undefined; range = rest.shift()) {
      if (await fetchOne(range)) rest.length = 0
    }
  })
  const results = await Promise.allSettled(
    lanes.map((lane) =>
      lane.catch((error: unknown) => {
        stop.abort(error)
        throw error
      }),
    ),
  )
  const failed = results.find((result) => result.status === 'rejected')
  options.signal.throwIfAborted()
  if (failed !== undefined) throw stop.signal.reason
}

/** Fetches one range, going on where it broke. @returns whether the registry sent the whole blob instead */
async function fetchRange(
  client: RepositoryClient,
  blob: Descriptor,
  range: ByteRange,
  sink: BlobSink,
  { signal, retry }: FetchOptions,
): Promise<boolean> {
  let { start } = range
  const wanted = () =>
    start === 0 && range.end === blob.size ? undefined : { start, end: range.end }
  return await withRetries(
    async () => {
      const response = await client.openBlob(blob, wanted(), signal)
      if (response.whole) {
        await copyBody(response, { start: 0, end: blob.size }, sink, () => undefined)
        sink.completed({ start: 0, end: blob.size })
        return true
      }
      await copyBody(response, { start, end: range.end }, sink, (at) => {
        start = at
      })
      sink.completed(range)
      return false
    },
    { ...retry, signal },
  )
}

/** Writes a body at its offset. @throws CONTENT_MISMATCH, REGISTRY_UNREACHABLE, both retryable */
async function copyBody(
  response: BlobResponse,
  range: ByteRange,
  sink: BlobSink,
  advance: (at: number) => void,
): Promise<void> {
  let at = range.start
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      if (at + chunk.length > range.end) throw mismatch('more', range)
      writeAll(sink.fd, chunk, at)
      sink.wrote({ start: at, end: at + chunk.length })
      at += chunk.length
      advance(at)
    }
  } catch (error) {
    if (isDrayError(error)) throw error
    throw new DrayError(
      'REGISTRY_UNREACHABLE',
      `the connection broke at byte ${at} of a blob: ${errorMessage(error)}`,
      { cause: error, retryable: true },
    )
  } finally {
    response.body.destroy()
  }
  if (at < range.end) throw mismatch('fewer', range)
}

function writeAll(fd: number, chunk: Buffer, position: number): void {
  try {
    for (let done = 0; done < chunk.length; ) {
      done += writeSync(fd, chunk, done, chunk.length - done, position + done)
    }
  } catch (error) {
    throw new DrayError('STORE_FAILED', `cannot write to the local store: ${errorMessage(error)}`, {
      cause: error,
    })
  }
}

function mismatch(what: 'more' | 'fewer', range: ByteRange): DrayError {
  return new DrayError(
    'CONTENT_MISMATCH',
    `the registry sent ${what} bytes than the ${range.end - range.start} asked for`,
    { retryable: true },
  )
}
