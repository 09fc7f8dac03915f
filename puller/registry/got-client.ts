import type { IncomingHttpHeaders } from 'node:http'
import got, { type Got } from 'got'
import { requestThrough } from '../proxy/request.ts'
import type { Certificates } from './certificates.ts'
import {
  type HttpClient,
  type HttpClientOptions,
  type HttpRequest,
  type HttpResponse,
  STALL_TIMEOUT_MS,
} from './http.ts'
import { unreachable } from './unreachable.ts'

const CONNECT_TIMEOUT_MS = 15_000

/** {@link createHttpClient}, over got. */
export function createGotClient(options: HttpClientOptions): HttpClient {
  const {
    stallTimeoutMs = STALL_TIMEOUT_MS,
    connectTimeoutMs = CONNECT_TIMEOUT_MS,
    own,
    proxy,
  } = options
  const client = got.extend({
    throwHttpErrors: false,
    decompress: false,
    retry: { limit: 0 },
    maxRedirects: 5,
    timeout: { connect: connectTimeoutMs, socket: stallTimeoutMs },
    ...(proxy === undefined ? {} : { request: requestThrough(proxy) }),
    headers: { 'user-agent': 'dray', 'accept-encoding': 'identity' },
    hooks: {
      beforeRedirect: [
        (next) => {
          const target = next.url instanceof URL ? next.url.origin : undefined
          if (target === own?.origin) return
          next.https = httpsOptions(undefined)
          for (const name of Object.keys(own?.headers ?? {})) delete next.headers[name]
        },
      ],
    },
  })
  return (url, request) => {
    if (url.origin !== own?.origin) return send(client, url, request, undefined)
    const headers = { ...own.headers, ...request.headers }
    return send(client, url, { ...request, headers }, own.certificates)
  }
}

function httpsOptions(certificates: Certificates | undefined) {
  return {
    certificateAuthority: certificates?.ca === undefined ? undefined : [...certificates.ca],
    certificate: certificates?.cert,
    key: certificates?.key,
    rejectUnauthorized: certificates?.rejectUnauthorized,
  }
}

function send(
  client: Got,
  url: URL,
  request: HttpRequest,
  certificates: Certificates | undefined,
): Promise<HttpResponse> {
  const { method = 'GET', headers, body, signal, redirect = true } = request
  return new Promise((resolve, reject) => {
    const stream = client.stream(url, {
      method,
      followRedirect: redirect,
      ...(certificates === undefined ? {} : { https: httpsOptions(certificates) }),
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    })
    // got waits for a body from us where the method may have one.
    if (body === undefined && method !== 'GET' && method !== 'HEAD') stream.end()
    stream.on('error', (error: Error) => {
      reject(signal?.aborted === true ? signal.reason : unreachable(url, error))
    })
    stream.once(
      'response',
      (response: { statusCode: number; headers: IncomingHttpHeaders; url: string }) => {
        resolve({
          status: response.statusCode,
          headers: response.headers,
          url: response.url,
          body: stream,
        })
      },
    )
  })
}
