import type { IncomingMessage } from 'node:http'
import { DrayError } from '#oci/error.ts'
import type { ByteSource } from '../storage/blob-driver.ts'

/** Bytes of a request that nobody reads are taken off the wire up to here, so that its sender gets to the answer. */
const DISCARD_LIMIT = 64 * 1024 * 1024

/** Whether a request has a body that may hold bytes. */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  return encoding !== undefined || (length !== undefined && Number(length) > 0)
}

/**
 * The body of a request. A client that sends nothing for `stallTimeoutMs` while we wait for it loses its connection;
 * the time that we take to store what came doesn't count.
 *
 * @throws BLOB_UPLOAD_INVALID when the connection ends before the body does
 */
export async function* bodyOf(
  request: IncomingMessage,
  stallTimeoutMs: number,
): AsyncGenerator<Uint8Array> {
  // Left early, the stream stays open: the answer goes out on the same connection.
  const chunks = request.iterator({ destroyOnReturn: false })
  let isWaiting = true
  const timer = setTimeout(() => {
    if (isWaiting) request.destroy(new Error(`no bytes came for ${stallTimeoutMs} ms`))
  }, stallTimeoutMs)
  try {
    for await (const chunk of chunks) {
      isWaiting = false
      yield chunk
      release(chunk)
      isWaiting = true
      timer.refresh()
    }
  } catch (error) {
    if (!isWaiting) throw error
    throw new DrayError('BLOB_UPLOAD_INVALID', 'the connection broke off before all bytes came', {
      cause: error,
      retryable: true,
    })
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Frees the memory of a chunk at once. Left to the collector, which counts few objects and doesn't see their size, tens
 * of megabytes of it pile up, and each new chunk takes pages that the kernel has to clear.
 */
function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

/** A body that is small by rule, whole. @throws MANIFEST_TOO_LARGE */
export async function readWhole(
  source: ByteSource,
  declared: number | undefined,
  limit: number,
): Promise<Uint8Array> {
  const tooLarge = () => new DrayError('MANIFEST_TOO_LARGE', `it may have ${limit} bytes`)
  if (declared !== undefined && declared > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > limit) throw tooLarge()
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks, size)
}

/** Takes the rest of a refused body off the wire, within bounds of bytes and time. */
export function discardBody(request: IncomingMessage, stallTimeoutMs: number): void {
  if (request.complete || request.destroyed) return
  let left = DISCARD_LIMIT
  const giveUp = () => request.destroy()
  const timer = setTimeout(giveUp, stallTimeoutMs)
  request.on('data', (chunk: Buffer) => {
    timer.refresh()
    left -= chunk.length
    if (left < 0) giveUp()
  })
  request.on('error', () => {})
  request.on('close', () => clearTimeout(timer))
  request.on('end', () => clearTimeout(timer))
}
