import { once } from 'node:events'
import { request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Certificate } from './certificates.ts'

/** Starts a server with TLS in front of one without, both on loopback. Returns its `host:port`. */
export async function startTlsFront(
  t: TestContext,
  backend: string,
  { cert, key }: Certificate,
): Promise<string> {
  const [host, port] = backend.split(':')
  const server = createServer({ cert, key }, (asking, response) => {
    const { method, url: path, headers } = asking
    const asked = request({ host, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    asking.pipe(asked)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
