import type { Socket } from 'node:net'
import { DrayError, errorMessage } from '#oci/error.ts'
import { absoluteForm, type FindProxy, type HttpProxy } from '../proxy/find-proxy.ts'
import type { ByteRange } from '../transfer/ranges.ts'
import type { Certificates } from './certificates.ts'
import type { DialOptions } from './dial.ts'
import { parseHead } from './head.ts'

const HEAD_LIMIT = 16 * 1024

/** Where more ranges of a blob can be had: the URL that one came from after redirects, and the headers that it took. */
export interface RangeSource {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Of that URL's origin. */
  readonly certificates?: Certificates | undefined
  /** Which of several places of a repository this is, where there are several. */
  readonly place?: string | undefined
}

/** Takes bytes in order; `chunk` is valid during the call. A promise asks to wait before more are read. */
export type OnBytes = (chunk: Buffer) => Promise<void> | undefined

/**
 * Reads ranges over connections of its own. Node's HTTP client copies every piece of a body into fresh memory, which takes
 * five times as long as receiving and writing it; here a range is written from where the kernel put it.
 */
export interface DirectReader {
  /**
   * Asks for a range and reads it. Only the expected answer is understood: 206, this range, this many bytes.
   *
   * @returns false when the answer is anything else, or there is none; nothing was read then
   * @throws REGISTRY_UNREACHABLE (retryable) when it breaks off or stalls; what `onBytes` throws
   */
  read(
    source: RangeSource,
    range: ByteRange,
    onBytes: OnBytes,
    signal: AbortSignal,
  ): Promise<boolean>
  /** Ends its connections. */
  close(): void
}

export function createDirectReader(
  stallTimeoutMs: number,
  findProxy: FindProxy = () => undefined,
): DirectReader {
  const idle = new Map<string, Connection[]>()
  return {
    async read(source, range, onBytes, signal) {
      signal.throwIfAborted()
      const url = new URL(source.url)
      // A server may have ended those that nobody used.
      const pool = (idle.get(url.origin) ?? []).filter(({ isReusable }) => isReusable)
      idle.set(url.origin, pool)
      const proxy = findProxy(url)
      const { certificates } = source
      const connection =
        pool.pop() ?? (await connect(url, { certificates, proxy, stallTimeoutMs }, signal))
      if (connection === undefined) return false
      const request = requestFor(url, source, range, proxy)
      const wasRead = await connection.get(request, range, onBytes, signal)
      if (connection.isReusable) idle.get(url.origin)?.push(connection)
      return wasRead
    },
    close() {
      for (const pool of idle.values()) for (const connection of pool) connection.end()
      idle.clear()
    },
  }
}

/** Undefined when a proxy doesn't connect. */
async function connect(
  url: URL,
  options: DialOptions & { readonly stallTimeoutMs: number },
  signal: AbortSignal,
): Promise<Connection | undefined> {
  const connection = new Connection()
  try {
    const { dial } = await import('./dial.ts')
    const socket = await dial(url, options, (bytes) => connection.receive(bytes))
    connection.use(socket, options.stallTimeoutMs)
  } catch {
    signal.throwIfAborted()
    return undefined
  }
  return connection
}

function requestFor(
  url: URL,
  { headers }: RangeSource,
  { start, end }: ByteRange,
  proxy: HttpProxy | undefined,
): string {
  const isAsked = proxy !== undefined && url.protocol === 'http:'
  const lines = Object.entries({
    host: url.host,
    'user-agent': 'dray',
    'accept-encoding': 'identity',
    ...headers,
    ...(isAsked && proxy.headers),
    range: `bytes=${start}-${end - 1}`,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  const target = isAsked ? absoluteForm(url) : `${url.pathname}${url.search}`
  return `GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** One answer on its way. */
interface Exchange {
  readonly range: ByteRange
  readonly onBytes: OnBytes
  readonly done: (wasRead: boolean) => void
  readonly fail: (error: unknown) => void
  head: Buffer | undefined
  left: number
  isLast: boolean
}

class Connection {
  #socket: Socket | undefined
  #exchange: Exchange | undefined
  #isOpen = true

  /** Reads from a socket, whose bytes it is given, from now on. */
  use(socket: Socket, stallTimeoutMs: number): void {
    this.#socket = socket
    socket.setTimeout(stallTimeoutMs, () =>
      socket.destroy(new Error(`no byte came for ${stallTimeoutMs / 1000} s`)),
    )
    socket.on('error', (error) => this.#broke(error))
    socket.on('close', () => this.#broke(new Error('it was closed')))
  }

  get isReusable(): boolean {
    return this.#isOpen
  }

  end(): void {
    this.#isOpen = false
    this.#socket?.destroy()
  }

  async get(
    request: string,
    range: ByteRange,
    onBytes: OnBytes,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { promise, resolve: done, reject: fail } = Promise.withResolvers<boolean>()
    const left = range.end - range.start
    this.#exchange = { range, onBytes, done, fail, head: Buffer.alloc(0), left, isLast: false }
    const abort = () => this.#fail(signal.reason)
    signal.addEventListener('abort', abort)
    // It may have been, while this was connected.
    if (signal.aborted) abort()
    else this.#socket?.write(request)
    return await promise.finally(() => signal.removeEventListener('abort', abort))
  }

  /** @returns whether to go on reading */
  receive(bytes: Buffer): boolean {
    const exchange = this.#exchange
    if (exchange === undefined) {
      this.end()
      return false
    }
    const body = exchange.head === undefined ? bytes : this.#receiveHead(exchange, bytes)
    return body.length === 0 || this.#receiveBody(exchange, body)
  }

  /** @returns what of the bytes is body */
  #receiveHead(exchange: Exchange, bytes: Buffer): Buffer {
    const before = exchange.head ?? Buffer.alloc(0)
    const head = before.length === 0 ? bytes : Buffer.concat([before, bytes])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0 && head.length < HEAD_LIMIT) {
      exchange.head = Buffer.from(head)
      return head.subarray(0, 0)
    }
    const answer = parseHead(head.subarray(0, Math.max(0, end)).toString('latin1'), exchange.range)
    if (answer === undefined) {
      this.#finish(false)
      this.end()
      return head.subarray(0, 0)
    }
    exchange.head = undefined
    exchange.isLast = answer.isLast
    return head.subarray(end + 4)
  }

  #receiveBody(exchange: Exchange, bytes: Buffer): boolean {
    try {
      const isTooMuch = bytes.length > exchange.left
      const wait = exchange.onBytes(isTooMuch ? bytes.subarray(0, exchange.left) : bytes)
      exchange.left -= Math.min(exchange.left, bytes.length)
      if (exchange.left === 0) {
        if (isTooMuch || exchange.isLast) this.end()
        if (wait === undefined) this.#finish(true)
        else wait.then(() => this.#finish(true), exchange.fail)
        return true
      }
      if (wait === undefined) return true
      wait.then(
        () => this.#socket?.resume(),
        (error: unknown) => this.#fail(error),
      )
      return false
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  #finish(wasRead: boolean): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    exchange?.done(wasRead)
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.end()
    exchange?.fail(error)
  }

  /** Before the answer began nothing is lost: another way may know better what is wrong. */
  #broke(error: Error): void {
    this.#isOpen = false
    const exchange = this.#exchange
    if (exchange === undefined) return
    if (exchange.head !== undefined) {
      this.#finish(false)
      return
    }
    const at = exchange.range.end - exchange.left
    this.#fail(
      new DrayError(
        'REGISTRY_UNREACHABLE',
        `the connection broke at byte ${at} of a blob: ${errorMessage(error)}`,
        { cause: error, retryable: true },
      ),
    )
  }
}
