import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { DrayError } from '#oci/error.ts'
import type { FindProxy } from '../proxy/find-proxy.ts'
import type { Certificates } from './certificates.ts'
import { unreachable } from './unreachable.ts'

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
    `${what}: the registry answered ${status}${said}${advice(response, said)}`,
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

/** Fails where the answer is a page for people, as that of a proxy which wants a log-in. @throws REGISTRY_FAILED */
export function refuseWebPage(response: HttpResponse, what: string): void {
  if (!isWebPage(response)) return
  response.body.destroy()
  throw new DrayError(
    'REGISTRY_FAILED',
    `${what}: ${new URL(response.url).origin} answered with a web page: is it a registry, or does a proxy on the way want a log-in?`,
  )
}

function isWebPage({ headers }: HttpResponse): boolean {
  return /^text\/html\b/i.test(headers['content-type'] ?? '')
}

function advice(response: HttpResponse, said: string): string {
  const { status, url } = response
  if (status === 401)
    return ': it asks for credentials, or refuses those that it was shown (dray login), or there is no such repository'
  if (status === 403 && isWebPage(response))
    return ' with a web page: a proxy on the way may refuse it'
  if (status === 403) return ': whoever asks so may not do that, another account may (dray login)'
  if (status === 407)
    return ': the proxy wants credentials (http://user:password@host in HTTP_PROXY)'
  if (status === 400 && isWebPage(response) && url.startsWith('http:'))
    return ' with a web page: it may want TLS, that is no --plain-http'
  if (status === 413)
    return ': a proxy before the registry takes no body of that size (client_max_body_size of nginx)'
  if (said === '' && (status === 502 || status === 503 || status === 504))
    return ': it does not work just now, or a proxy before it does not reach it; try again later'
  if (status === 429)
    return ': too many requests, try again later, or log in, which some registries let do more (dray login)'
  if (said === '' && status === 500) return ': it failed, and its log tells why; try again later'
  if (said === '' && [400, 404, 405, 415].includes(status))
    return ': it does not know that request: is it a registry of images, and does a proxy before it let all of /v2/ through?'
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
