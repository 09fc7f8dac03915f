import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as httpRequest,
  type RequestOptions,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What happens to one call:
 *
 * - `slow-down`, `internal-error`: it is refused with 503 or 500 and has no effect
 * - `conflict`, `precondition`: the same with 409 or 412, as if another writer had been there
 * - `ok-with-error`: the same with a status of 200, as S3 does when a call fails after a while
 * - `silence`: there is neither an effect nor an answer
 * - `error-after-effect`: the server acts, the answer is 500
 * - `lose-answer`: the server acts, the connection breaks off instead of an answer
 * - `reset`: the connection breaks off before the server has heard of it
 * - `cut-request`: the server hears half of the body
 * - `truncateAfter`: the answer breaks off after so many bytes
 * - `delayMs`: it goes out so much later
 */
export type Fault =
  | 'slow-down'
  | 'internal-error'
  | 'conflict'
  | 'precondition'
  | 'ok-with-error'
  | 'silence'
  | 'error-after-effect'
  | 'lose-answer'
  | 'reset'
  | 'cut-request'
  | { readonly truncateAfter: number }
  | { readonly delayMs: number }
  | undefined

/** One call on S3, as it came. Tries of the SDK to repeat a call come as calls of their own. */
export interface S3Call {
  /** From 1. */
  readonly number: number
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly isConditional: boolean
}

const REFUSALS: Readonly<Record<string, readonly [number, string]>> = {
  'slow-down': [503, 'SlowDown'],
  'internal-error': [500, 'InternalError'],
  conflict: [409, 'ConditionalRequestConflict'],
  precondition: [412, 'PreconditionFailed'],
  'ok-with-error': [200, 'InternalError'],
}

export interface FaultRules {
  readonly faultOf?: (call: S3Call) => Fault
  /** Told when the server has acted on a call, and waited for before its answer goes on. */
  readonly onEffect?: (call: S3Call) => Promise<void> | void
}

export interface S3FaultProxy {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Stands in front of an S3 server and passes calls on, but for the faults that the rules ask for. The client's `Host`
 * goes on as it is, since signatures cover it.
 */
export async function startS3FaultProxy(target: string, rules: FaultRules): Promise<S3FaultProxy> {
  let number = 0
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming
    const isConditional = 'if-match' in headers || 'if-none-match' in headers
    const call = { number: ++number, method, url, headers, isConditional }
    // Either side may go away at any moment: that is what tests are about.
    pass({ target, rules, call, incoming, outgoing }).catch(() => incoming.socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

interface Passing {
  readonly target: string
  readonly rules: FaultRules
  readonly call: S3Call
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

async function pass(passing: Passing): Promise<void> {
  const { rules, call, incoming, outgoing } = passing
  const fault = rules.faultOf?.(call)
  if (fault === 'reset') return void incoming.socket.destroy()
  const body = await buffer(incoming)
  if (fault === 'silence') return
  if (typeof fault === 'string' && fault in REFUSALS) return refuse(outgoing, fault)
  if (typeof fault === 'object' && 'delayMs' in fault) await sleep(fault.delayMs)
  if (fault === 'cut-request') {
    await sendHalf(passing, body)
    return void incoming.socket.destroy()
  }
  const answer = await forward(passing, body)
  await rules.onEffect?.(call)
  if (fault === 'error-after-effect') {
    answer.resume()
    return refuse(outgoing, 'internal-error')
  }
  if (fault === 'lose-answer') {
    await buffer(answer)
    return void incoming.socket.destroy()
  }
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
  const limit =
    typeof fault === 'object' && 'truncateAfter' in fault ? fault.truncateAfter : Infinity
  await copy(answer, outgoing, limit)
}

function requestOptions({ target, call, incoming }: Passing): RequestOptions {
  const { hostname, port } = new URL(target)
  const { method, url: path } = call
  return { hostname, port, method, path, headers: incoming.headers, agent: false }
}

async function forward(passing: Passing, body: Buffer): Promise<IncomingMessage> {
  const request = httpRequest(requestOptions(passing))
  request.end(body)
  const [answer] = await once(request, 'response')
  return answer as IncomingMessage
}

async function sendHalf(passing: Passing, body: Buffer): Promise<void> {
  const request = httpRequest(requestOptions(passing))
  request.on('error', () => {})
  await new Promise<void>((resolve) => {
    request.write(body.subarray(0, body.length >> 1), () => resolve())
  })
  request.destroy()
}

function refuse(outgoing: ServerResponse, refusal: string): void {
  const [status = 500, code] = REFUSALS[refusal] ?? []
  outgoing.writeHead(status, { 'content-type': 'application/xml' })
  outgoing.end(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`)
}

async function copy(from: IncomingMessage, to: ServerResponse, limit: number): Promise<void> {
  let left = limit
  for await (const chunk of from) {
    const isLast = chunk.length >= left
    await new Promise((resolve) => to.write(chunk.subarray(0, left), resolve))
    left -= chunk.length
    if (isLast) return void to.socket?.destroy()
  }
  to.end()
}
