import { createServer, type IncomingMessage, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What happens to one request: its answer is lost after the server has acted, or breaks off after so many bytes. */
export type Fault = 'lose-answer' | { readonly truncateAfter: number } | undefined

export interface FaultProxy {
  readonly url: string
  stop(): Promise<void>
}

/** Stands in front of an HTTP server and passes requests on, but for the faults that `faultOf` asks for. */
export async function startFaultProxy(
  target: string,
  faultOf: (request: IncomingMessage) => Fault,
): Promise<FaultProxy> {
  const { hostname, port } = new URL(target)
  const server = createServer((incoming, outgoing) => {
    const fault = faultOf(incoming)
    const { method, url: path, headers } = incoming
    const forwarded = httpRequest({ hostname, port, method, path, headers, agent: false })
    const cut = () => incoming.socket.destroy()
    forwarded.on('error', cut)
    forwarded.on('response', async (answer) => {
      if (fault === 'lose-answer') {
        answer.resume().on('end', cut)
        return
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      let left = fault?.truncateAfter ?? Number.POSITIVE_INFINITY
      for await (const chunk of answer) {
        outgoing.write(chunk.subarray(0, left))
        left -= chunk.length
        if (left <= 0) return void setImmediate(cut)
      }
      outgoing.end()
    })
    incoming.pipe(forwarded)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
