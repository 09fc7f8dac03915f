import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** A stream is sent without `Content-Length`. */
  readonly body?: Buffer | string | AsyncIterable<Uint8Array>
}

export type Send = (method: string, path: string, options?: RequestOptions) => Promise<Answer>

/**
 * Sends requests to servers in turn, each request to the next one. Paths go out as they are written, unlike with
 * `fetch`, which tidies them up.
 */
export function createSender(urls: readonly string[]): Send {
  let next = 0
  return (method, path, options = {}) => {
    const url = urls[next++ % urls.length] ?? ''
    return send(url, method, path, options)
  }
}

async function send(
  url: string,
  method: string,
  path: string,
  { headers = {}, body }: RequestOptions,
): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const isWhole = bytes === undefined || Buffer.isBuffer(bytes)
  const length = isWhole ? { 'content-length': String(bytes?.length ?? 0) } : {}
  const request = httpRequest({
    ...{ hostname, port, method, path },
    headers: { ...(isWhole && !(method === 'GET' || method === 'HEAD') ? length : {}), ...headers },
  })
  const answered = new Promise<Answer>((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      Array.fromAsync(response).then((chunks) => {
        const { statusCode: status = 0, headers } = response
        resolve({ status, headers, body: Buffer.concat(chunks as Buffer[]) })
      }, reject)
    })
  })
  if (isWhole) request.end(bytes)
  else pipeline(Readable.from(bytes), request).catch(() => request.destroy())
  return answered
}

/** The code of the first error of an OCI error body; undefined when the body isn't one. */
export function errorCode({ body }: Answer): string | undefined {
  try {
    return JSON.parse(body.toString()).errors[0].code
  } catch {
    return undefined
  }
}
