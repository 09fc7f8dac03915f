import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import type { RegistryConfig } from '../config.ts'
import { createTlsServer } from '../net/tls-server.ts'
import { hostOfUrl, listen } from './listen.ts'

export interface HttpServer {
  /** Such as `http://127.0.0.1:5000`. */
  readonly url: string
  readonly port: number
  /** Takes changed certificates at once. */
  refresh(): void
  /** Stops listening, and resolves when every request has been dealt with; cuts those off that take too long. */
  drain(timeoutMs: number): Promise<void>
}

export type HttpServerOptions = Pick<RegistryConfig, 'listen' | 'tls' | 'limits'> & {
  readonly logger: Logger
}

/** Deals with one request; resolves when nothing of it is left to do, whatever becomes of its connection. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>

// Longer than load balancers keep idle connections (60 s as a rule), so that they never use one that we just closed.
const KEEP_ALIVE_TIMEOUT_MS = 75_000
const HEADERS_TIMEOUT_MS = 60_000
const SWEEP_INTERVAL_MS = 50

/** @throws CONFIG_INVALID when the address can't be listened on */
export async function startHttpServer(
  handle: Handle,
  { listen: address, tls, limits, logger }: HttpServerOptions,
): Promise<HttpServer> {
  const handlings = new Map<ServerResponse, Promise<void>>()
  const take: RequestListener = (request, response) => {
    // A connection of a server that is stopping ends with its answer.
    if (!server.listening) response.shouldKeepAlive = false
    const handling = handle(request, response).finally(() => handlings.delete(response))
    handlings.set(response, handling)
  }
  // A whole-request timeout would end every honest slow upload; bodies have a stall timer of their own.
  const options = {
    maxHeaderSize: limits.headerBytes,
    requestTimeout: 0,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  }
  const { server, refresh } =
    tls === undefined
      ? { server: createServer(options, take), refresh: () => {} }
      : createTlsServer(tls, { options, logger }, take)
  await listen(server, address)
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${hostOfUrl(address.host)}:${port}`,
    port,
    refresh,
    async drain(timeoutMs) {
      for (const response of handlings.keys()) response.shouldKeepAlive = false
      await stop(server, timeoutMs)
      // Requests that were cut off still store what has come.
      await Promise.allSettled(handlings.values())
    },
  }
}

async function stop(server: Server, timeoutMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // Connections become idle, one after the other, when their last request is answered.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_INTERVAL_MS)
  const timer = setTimeout(() => server.closeAllConnections(), timeoutMs)
  await closed
  clearTimeout(timer)
  clearInterval(sweep)
}
