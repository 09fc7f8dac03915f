import { type IncomingMessage, request as sendRequest, type ServerResponse } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { parseConfig, startRegistry } from '#registry/index.ts'
import { inMemory } from './closed-registry.ts'
import { startServer } from './http-server.ts'

export interface OpenRegistry {
  /** `127.0.0.1:<port>` */
  readonly host: string
  /** Every request that came, in order: `METHOD path`. */
  readonly log: string[]
}

/** Says what becomes of a request; undefined passes it on. */
export type Meddler = (request: IncomingMessage) => Meddling | undefined

export interface Meddling {
  /** Bytes of the body that arrive before both sides lose the connection. */
  readonly cutAt?: number
  /** Bytes of the answer's body that come through before the connection is lost. */
  readonly cutAnswerAt?: number
  /** An answer without the registry. */
  readonly status?: number
  /** A header of the answer that doesn't come through. */
  readonly hides?: string
}

/** A registry in memory that anybody may push to, behind a proxy that keeps a log and may meddle. */
export async function startOpenRegistry(
  t: TestContext,
  meddle: Meddler = () => undefined,
  onRequest: (url: string, response: ServerResponse) => void = () => undefined,
): Promise<OpenRegistry> {
  const config = parseConfig({ env: {}, flags: { listen: '127.0.0.1:0' } })
  const registry = await startRegistry(config, { storage: inMemory() })
  const { port } = new URL(registry.url)
  const log: string[] = []
  const proxy = await startServer((request, response) => {
    if (request.url !== '/v2/') log.push(`${request.method} ${request.url}`)
    onRequest(request.url ?? '', response)
    const meddling = meddle(request) ?? {}
    const { status } = meddling
    if (status === undefined) return forward(request, response, port, meddling)
    return request.resume().once('end', () => response.writeHead(status).end())
  })
  t.after(async () => {
    await proxy.close()
    await registry.close()
  })
  return { host: proxy.host, log }
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  port: string,
  { cutAt = Infinity, cutAnswerAt = Infinity, hides = '' }: Meddling,
): void {
  const { method, url: path, headers } = request
  const onward = sendRequest({ host: '127.0.0.1', port, method, path, headers })
  onward.on('error', () => response.destroy())
  onward.on('response', (answer) => {
    const { [hides]: _, ...shown } = answer.headers
    response.writeHead(answer.statusCode ?? 500, shown)
    if (cutAnswerAt === Infinity) return answer.pipe(response)
    return passUpTo(answer, cutAnswerAt, response)
  })
  if (cutAt === Infinity) return void request.pipe(onward)
  passUpTo(request, cutAt, onward)
}

/** Then both sides lose the connection. */
function passUpTo(from: Readable, bytes: number, to: Writable): void {
  let left = bytes
  from.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, left)
    left -= part.length
    if (left > 0) return void to.write(part)
    from.pause()
    to.write(part, () => {
      from.destroy()
      to.destroy()
    })
  })
}
