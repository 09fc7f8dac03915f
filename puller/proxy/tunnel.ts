import { request as requestPlain } from 'node:http'
import { Agent, request as requestTls } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { DrayError } from '#oci/error.ts'
import type { HttpProxy } from './find-proxy.ts'
import { bareHost } from './no-proxy.ts'

const ADVICE = 'is that the right one (HTTPS_PROXY)? Hosts in NO_PROXY do without'
/** Longest wait for a proxy to connect, in ms. */
const TUNNEL_TIMEOUT_MS = 15_000

/**
 * Has a proxy connect to a host (`CONNECT`, RFC 9110 section 9.3.6).
 *
 * @throws REGISTRY_UNREACHABLE, retryable unless the proxy wants credentials
 */
export function openTunnel(proxy: HttpProxy, host: string, port: number): Promise<Duplex> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const request = (proxy.url.protocol === 'https:' ? requestTls : requestPlain)(proxy.url, {
    method: 'CONNECT',
    path: target,
    headers: { host: target, 'user-agent': 'dray', ...proxy.headers },
    agent: false,
    timeout: TUNNEL_TIMEOUT_MS,
  })
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>()
  const fail = (why: string, options = {}) =>
    reject(
      new DrayError(
        'REGISTRY_UNREACHABLE',
        `the proxy ${proxy.url.host} did not connect to ${target}: ${why}`,
        { retryable: true, ...options },
      ),
    )
  request.once('connect', ({ statusCode = 0 }, socket, head) => {
    if (statusCode >= 200 && statusCode < 300) {
      socket.setTimeout(0)
      if (head.length > 0) socket.unshift(head)
      return resolve(socket)
    }
    socket.destroy()
    return statusCode === 407
      ? fail('it wants credentials: http://user:password@host', { retryable: false })
      : fail(`it answered ${statusCode}: ${ADVICE}`)
  })
  // An answer to CONNECT ends in the event above, a refusal with a body too.
  request.once('timeout', () =>
    request.destroy(new Error(`it was silent for ${TUNNEL_TIMEOUT_MS / 1000} s`)),
  )
  request.once('error', (cause) => fail(`${cause.message}: ${ADVICE}`, { cause }))
  request.end()
  return promise
}

/** Connects to hosts by TLS through a proxy. */
export class TunnelAgent extends Agent {
  readonly #proxy: HttpProxy

  constructor(proxy: HttpProxy) {
    super({ keepAlive: true })
    this.#proxy = proxy
  }

  override createConnection(
    options: { readonly host?: string; readonly port?: number | string },
    done: (error: Error | null, socket?: Duplex) => void,
  ): undefined {
    const { host = '', port = 443 } = options
    openTunnel(this.#proxy, bareHost(host), Number(port)).then(
      (socket) => done(null, connectTls({ ...options, path: undefined, socket } as object)),
      done,
    )
  }
}
