import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'

export interface TestProxy {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** What it was asked for: `CONNECT host:port`, or `GET http://host/path`. */
  readonly asked: readonly string[]
}

interface ProxyOptions {
  /** `127.0.0.1:<port>` that every host is found at. */
  readonly backend: string
  /** `user:password` that it wants. */
  readonly credentials?: string
}

/** Starts a proxy for HTTP on loopback. */
export async function startProxy(t: TestContext, options: ProxyOptions): Promise<TestProxy> {
  const asked: string[] = []
  const sockets = new Set<Duplex>()
  const [host = '', port] = options.backend.split(':')
  const isWelcome = ({ method, url, headers }: IncomingMessage) => {
    asked.push(`${method} ${url}`)
    const wanted = options.credentials && Buffer.from(options.credentials).toString('base64')
    return wanted === undefined || headers['proxy-authorization'] === `Basic ${wanted}`
  }
  const server = createServer((asking: IncomingMessage, response: ServerResponse) => {
    if (!isWelcome(asking)) return response.writeHead(407).end()
    const { 'proxy-authorization': _, ...headers } = asking.headers
    const { pathname, search } = new URL(asking.url ?? '')
    const { method } = asking
    const asked = request({ host, port, method, path: pathname + search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    return asking.pipe(asked)
  })
  server.on('connect', (asking: IncomingMessage, socket: Duplex) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    if (!isWelcome(asking)) return socket.end('HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n')
    const other = connect({ host, port: Number(port) }, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(other).pipe(socket)
    })
    sockets.add(other)
    return other.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}
