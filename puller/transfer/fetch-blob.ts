import type { Readable } from 'node:stream'
import type { Descriptor } from '#oci/descriptor.ts'
import { errorMessage, isDrayError } from '#oci/error.ts'
import type { BlobResponse, HostSource, RepositoryClient } from '../registry/client.ts'
import type { DirectReader, OnBytes } from '../registry/direct.ts'
import type { Connections } from './connections.ts'
import { type BlobSink, createRangeWriter } from './range-writer.ts'
import { type ByteRange, gapsIn } from './ranges.ts'
import { type RetryOptions, TRIES_OF_TRANSFER, withRetries } from './retry.ts'
import { settleAll } from './settle.ts'

const MiB = 1024 * 1024

/** A try that brought this many bytes was no failure: the tries are counted anew. */
const PROGRESS = MiB / 4

export interface FetchOptions {
  readonly signal: AbortSignal
  /** Shared by all blobs. */
  readonly connections: Connections
  readonly direct: DirectReader
  readonly retry?: Omit<RetryOptions, 'signal'> | undefined
  /** Hears what a person would like to know when a pull is slow. */
  readonly debug?: ((message: string) => void) | undefined
}

/**
 * Fetches what a sink lacks of a blob: closed ranges in parallel, each written at its offset and tried again alone
 * when it breaks. A registry that sends the whole blob whatever is asked, or that gets ranges wrong, gets one request.
 * Bytes that are there are never written again: they may have been read and hashed.
 *
 * The bytes are not verified here: whoever reads the sink does.
 *
 * @throws REGISTRY_UNREACHABLE, REGISTRY_FAILED, CONTENT_MISMATCH, STORE_FAILED
 */
export async function fetchBlob(
  client: RepositoryClient,
  blob: Descriptor,
  sink: BlobSink,
  options: FetchOptions,
): Promise<void> {
  const whole = { start: 0, end: blob.size }
  if (gapsIn(whole, sink.present()).length === 0) return
  const transfer: Transfer = { client, blob, sink, ...options }
  try {
    await fetchRanges(transfer)
  } catch (error) {
    if (!isRangeTrouble(error)) throw error
    options.debug?.(`${blob.digest}: fetched in one stream, for ${errorMessage(error)}`)
    const connections = options.connections.to(client.host)
    await connections.run(() => fetchPart(transfer, whole, { how: 'blob' }))
  }
}

interface Transfer extends FetchOptions {
  readonly client: RepositoryClient
  readonly blob: Descriptor
  readonly sink: BlobSink
}

async function fetchRanges(transfer: Transfer): Promise<void> {
  const { client, blob, sink, connections, debug } = transfer
  const pending = gapsIn({ start: 0, end: blob.size }, sink.present())
  // The first answer tells whether this registry knows ranges, and where more of them are.
  const answered = Promise.withResolvers<void>()
  let source: HostSource | undefined
  const there = () => connections.to(source?.host ?? client.host)
  const onAnswer = (response: BlobResponse) => {
    if (response.whole && pending.length > 0) {
      pending.length = 0
      debug?.(`${blob.digest}: fetched in one stream, for the registry sends no ranges`)
    }
    source = response.source
    answered.resolve()
  }
  const fetchNext = async (signal: AbortSignal) => {
    const left = pending.reduce((sum, { start, end }) => sum + end - start, 0)
    const size = source === undefined ? there().firstRange : there().rangeSize(left)
    const range = takeRange(pending, size)
    if (range === undefined) return
    await fetchPart({ ...transfer, signal }, range, {
      how: 'range',
      source: () => source,
      onAnswer,
    })
  }
  await settleAll(transfer.signal, (signal) => {
    const lane = async () => {
      while (pending.length > 0) await there().run(() => fetchNext(signal))
    }
    const others = Array.from({ length: connections.most - 1 }, () => answered.promise.then(lane))
    return [lane().finally(answered.resolve), ...others]
  })
}

/** Takes the next bytes off a list of ranges. */
function takeRange(pending: ByteRange[], size: number): ByteRange | undefined {
  const first = pending[0]
  if (first === undefined) return undefined
  const end = Math.min(first.end, first.start + size)
  if (end === first.end) pending.shift()
  else pending[0] = { start: end, end: first.end }
  return { start: first.start, end }
}

interface Part {
  /** Whether the range is asked for, or the blob. */
  readonly how: 'range' | 'blob'
  /** Where a range can be read directly, once that is known. */
  readonly source?: () => HostSource | undefined
  readonly onAnswer?: (response: BlobResponse) => void
}

/** Fetches a range, or the blob without asking for a range, going on where it broke, elsewhere if it can. */
async function fetchPart(transfer: Transfer, range: ByteRange, part: Part): Promise<void> {
  const { client, direct, blob, sink, connections, signal, retry } = transfer
  let isWhole = part.how === 'blob' || (range.start === 0 && range.end === blob.size)
  let { start } = range
  let fresh = 0
  /** Where the last try was, which the next one avoids where there is another place. */
  let place: string | undefined
  let { host } = client
  const writing = async (to: ByteRange, read: (onBytes: OnBytes) => Promise<boolean>) => {
    const writer = createRangeWriter(sink, to, (at, length, missing) => {
      start = at
      fresh += missing
      return connections.to(host).received(length, signal)
    })
    return await writer.writeAll(read)
  }
  const tryDirectly = async (source: HostSource) => {
    const rest = { start, end: range.end }
    ;({ place, host } = source)
    return await writing(rest, (onBytes) =>
      host.run(() => direct.read(source, rest, onBytes, signal)),
    )
  }
  const tryOnce = async () => {
    fresh = 0
    const broken = place
    const source = isWhole ? undefined : part.source?.()
    if (source !== undefined && (source.place === undefined || source.place !== broken)) {
      if (await tryDirectly(source)) return
    }
    const wanted = isWhole ? undefined : { start, end: range.end }
    const response = await client.openBlob(blob, wanted, signal, broken)
    ;({ place, host } = response.source)
    isWhole ||= response.whole
    part.onAnswer?.(response)
    const body = isWhole ? { start: 0, end: blob.size } : { start, end: range.end }
    await writing(body, (onBytes) => readBody(response.body, onBytes))
  }
  await withRetries(
    async () => {
      try {
        await tryOnce()
      } catch (error) {
        if (isBusy(error)) connections.to(host).easeOff()
        throw error
      }
    },
    { tries: TRIES_OF_TRANSFER, ...retry, signal, madeProgress: () => fresh >= PROGRESS },
  )
}

async function readBody(body: Readable, onBytes: OnBytes): Promise<true> {
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) await onBytes(chunk)
    return true
  } finally {
    body.destroy()
  }
}

/** Whether a registry wants fewer requests. */
function isBusy(error: unknown): boolean {
  return [429, 503].includes(statusOf(error) ?? 0)
}

/** Whether a registry can't be trusted with ranges, but perhaps with a whole blob. */
function isRangeTrouble(error: unknown): boolean {
  return statusOf(error) === 416 || (isDrayError(error, 'CONTENT_MISMATCH') && error.retryable)
}

function statusOf(error: unknown): number | undefined {
  if (!isDrayError(error, 'REGISTRY_FAILED')) return undefined
  return (error.detail as { readonly status?: number } | undefined)?.status
}
