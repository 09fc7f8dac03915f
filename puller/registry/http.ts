import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { DrayError, isDrayError } from '#oci/error.ts'
import type { FindProxy } from '../proxy/find-proxy.ts'
import type { Certificates } from './certificates.ts'

/** Longest silence of a server before a request counts as dead, in ms. */
export const STALL_TIMEOUT_MS = 30_000

/** Most of an error body that is read, in bytes. */
const ERROR_BODY_LIMIT = 64 * 1024

export interface HttpRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable | Buffer
  readonly signal?: AbortSignal | undefined
  /** Whether a redirect is followed; otherwise it is the answer. Default true. */
  readonly redirect?: boolean | undefined
}

/** What is for one origin alone, and goes along to no other. */
export interface OriginSettings {
  readonly origin: string
  readonly certificates?: Certificates | undefined
  /** Sent with every request, by names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface HttpClientOptions {
  /** Longest silence of a server, in ms. Default 30,000. */
  readonly stallTimeoutMs?: number | undefined
  /** Longest wait for a connection, in ms. Default 15,000. */
  readonly connectTimeoutMs?: number | undefined
  readonly own?: OriginSettings | undefined
  /** Default: none. */
  readonly proxy?: FindProxy | undefined
}

/** An answer whose body has not been read yet. It must be read or destroyed. */
export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Where the answer came from, after redirects. */
  readonly url: string
  readonly body: Readable
}

export type HttpClient = (url: URL, request: HttpRequest) => Promise<HttpResponse>

/**
 * An HTTP client: any status is an answer, nothing is decompressed, redirects are followed without credentials once they
 * leave the host, and silence ends a request. What it stands on takes longer to load than all else that a command
 * loads, so it is loaded by the first request: most commands send none.
 *
 * @throws REGISTRY_UNREACHABLE (retryable) when there is no answer
 */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  let client: Promise<HttpClient> | undefined
  return async (url, request) => {
    client ??= import('./got-client.ts').then(({ createGotClient }) => createGotClient(options))
    return await (await client)(url, request)
  }
}

/** What a broken connection is to the caller. The query of the URL may hold a signature and is left out. */
export function unreachable(url: URL, error: Error): DrayError {
  // What a proxy lacks is said already.
  if (isDrayError(error.cause)) return error.cause
  const why = 'code' in error ? `${error.message} (${error.code})` : error.message
  return new DrayError(
    'REGISTRY_UNREACHABLE',
    `${url.origin} did not answer: ${why}. Check the host name, the port and the network`,
    { cause: error, retryable: true },
  )
}

/** Reads a body whole. @throws REGISTRY_FAILED when it is longer than `limit` bytes */
export async function readBody(response: HttpResponse, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit) break
      chunks.push(chunk)
    }
  } catch (error) {
    throw unreachable(new URL(response.url), error as Error)
  } finally {
    response.body.destroy()
  }
  if (size <= limit) return Buffer.concat(chunks)
  throw new DrayError(
    'REGISTRY_FAILED',
    `${new URL(response.url).origin} sent more than ${limit} bytes`,
  )
}

/** Turns an answer that the caller can't use into an error that quotes the registry's own words. */
export async function failure(response: HttpResponse, what: string): Promise<DrayError> {
  const body = await readBody(response, ERROR_BODY_LIMIT).catch(() => Buffer.alloc(0))
  const { status } = response
  const said = quoteErrors(body)
  const retryAfterMs = parseRetryAfter(response.headers['retry-after'])
  return new DrayError(
    'REGISTRY_FAILED',
    `${what}: the registry answered ${status}${said}${advice(status)}`,
    {
      detail: { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
      retryable: status === 408 || status === 429 || status >= 500,
    },
  )
}

function quoteErrors(body: Buffer): string {
  try {
    const { errors } = JSON.parse(body.toString('utf8')) as { errors?: unknown }
    if (!Array.isArray(errors)) return ''
    const lines = errors
      .slice(0, 3)
      .map(({ code, message }: { code?: unknown; message?: unknown }) => `${code}: ${message}`)
    return lines.length === 0 ? '' : ` (${printable(lines.join('; '))})`
  } catch {
    return ''
  }
}

function advice(status: number): string {
  if (status === 401)
    return ': it asks for credentials (dray login), or there is no such repository'
  if (status === 403) return ': these credentials may not do that'
  if (status === 407)
    return ': the proxy wants credentials (http://user:password@host in HTTP_PROXY)'
  if (status === 429) return ': too many requests, try again later'
  return ''
}

/** Words of a server are printed on a terminal: no control characters, no essay. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 500)
}

/** `Retry-After` in ms: a number of seconds or a date (RFC 9110, section 10.2.3). */
export function parseRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined
  if (/^[0-9]{1,9}$/.test(header.trim())) return Number(header) * 1000
  const date = /^[A-Z][a-z]{2}, /.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
