/**
 * A TCP proxy that makes loopback as slow as a network: `node bench/shaper.ts PORT [--delay MS] [--rate BYTES]` passes
 * connections on to 127.0.0.1:PORT and prints the port that it listens on. The delay is one way, the rate that of the link each
 * way.
 */
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  options: {
    delay: { type: 'string', default: '0' },
    rate: { type: 'string', default: 'Infinity' },
  },
  allowPositionals: true,
})

/** What may be on its way in one direction of a connection, in bytes, before the sender has to wait. */
const WINDOW = 4 * 1024 * 1024

/** Something that takes bytes one after the other, at a rate. */
class Lane {
  readonly #rate: number
  #freeAt = 0

  constructor(bytesPerSecond: number) {
    this.#rate = bytesPerSecond
  }

  /** @returns when bytes that come at a moment are through, in ms */
  pass(bytes: number, at: number): number {
    this.#freeAt = Math.max(this.#freeAt, at) + (bytes / this.#rate) * 1000
    return this.#freeAt
  }
}

function carry(from: Socket, to: Socket, lane: Lane): void {
  const delay = Number(values.delay)
  const queue: { readonly chunk: Buffer | undefined; readonly due: number }[] = []
  let queued = 0
  let isWaiting = false
  const add = (chunk: Buffer | undefined) => {
    const through = lane.pass(chunk?.length ?? 0, performance.now())
    queue.push({ chunk, due: through + delay })
    queued += chunk?.length ?? 0
    if (queued > WINDOW) from.pause()
    if (!isWaiting) setTimeout(release, 0)
    isWaiting = true
  }
  const release = () => {
    for (
      let next = queue[0];
      next !== undefined && next.due <= performance.now();
      next = queue[0]
    ) {
      queue.shift()
      queued -= next.chunk?.length ?? 0
      if (next.chunk === undefined) to.end()
      else to.write(next.chunk)
    }
    if (queued <= WINDOW) from.resume()
    const [next] = queue
    isWaiting = next !== undefined
    if (next !== undefined) setTimeout(release, Math.max(0, next.due - performance.now()))
  }
  from.on('data', add)
  from.on('end', () => add(undefined))
  from.on('error', () => to.destroy())
  from.on('close', () => from.errored && to.destroy())
}

const [port] = positionals
const down = new Lane(Number(values.rate))
const up = new Lane(Number(values.rate))
const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = createConnection({
    host: '127.0.0.1',
    port: Number(port),
    allowHalfOpen: true,
    noDelay: true,
  })
  carry(client, upstream, up)
  carry(upstream, client, down)
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
