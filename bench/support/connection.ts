import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const READ_BUFFER = 1024 * 1024
const HEAD_END = '\r\n\r\n'

export interface Answer {
  readonly status: number
  /** As they came. */
  readonly head: string
  /** Bytes of the body, which nobody keeps. */
  readonly bytes: number
}

export interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Body
}

/** `block` over and over, until there are `size` bytes, behind `first`. */
export interface Body {
  readonly first?: Uint8Array
  readonly block: Uint8Array
  readonly size: number
}

/**
 * A keep-alive connection for load: it reads into one buffer that it never looks at again, and writes the same memory
 * over and over, so that the client costs little but the kernel's copying. It knows of HTTP what registries answer with.
 */
export class Connection {
  readonly #socket: Socket
  #head = ''
  #left = 0
  #answer: Answer | undefined
  #method = ''
  #waiting: PromiseWithResolvers<Answer> | undefined

  private constructor(port: number) {
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(READ_BUFFER),
        callback: (length, buffer) => this.#take(length, buffer),
      },
    })
    this.#socket.on('error', (error) => this.#waiting?.reject(error))
    this.#socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')))
  }

  static async open(port: number): Promise<Connection> {
    const connection = new Connection(port)
    await once(connection.#socket, 'connect')
    return connection
  }

  close(): void {
    this.#socket.destroy()
  }

  /** @throws when the answer is an error */
  async send({ method, path, headers = {}, body }: Request): Promise<Answer> {
    const length = body === undefined && method.startsWith('P') ? 0 : body?.size
    const all = { Host: 'localhost', ...(length === undefined ? {} : { 'Content-Length': length }) }
    const lines = Object.entries({ ...all, ...headers }).map(([k, v]) => `${k}: ${v}\r\n`)
    this.#method = method
    const waiting = Promise.withResolvers<Answer>()
    this.#waiting = waiting
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    if (body !== undefined) await this.#write(body)
    const answer = await waiting.promise
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.head}`)
    return answer
  }

  async #write({ first, block, size }: Body): Promise<void> {
    let left = size - (first?.length ?? 0)
    if (first !== undefined) this.#socket.write(first)
    while (left > 0) {
      const piece = left >= block.length ? block : block.subarray(0, left)
      left -= piece.length
      if (!this.#socket.write(piece)) await once(this.#socket, 'drain')
    }
  }

  #take(length: number, buffer: Uint8Array): boolean {
    let bodyBytes = length
    if (this.#answer === undefined) {
      const before = this.#head.length
      this.#head += Buffer.from(buffer.buffer, buffer.byteOffset, length).toString('latin1')
      const end = this.#head.indexOf(HEAD_END)
      if (end === -1) return true
      bodyBytes = length - (end + HEAD_END.length - before)
      this.#begin(this.#head.slice(0, end))
    }
    this.#left -= bodyBytes
    if (this.#left <= 0) this.#end()
    return true
  }

  #begin(head: string): void {
    const status = Number(head.slice(9, 12))
    const declared = Number(/\r\ncontent-length: *([0-9]+)/i.exec(head)?.[1] ?? 0)
    const bytes = this.#method === 'HEAD' ? 0 : declared
    this.#answer = { status, head, bytes }
    this.#left = bytes
  }

  #end(): void {
    const [answer, waiting] = [this.#answer, this.#waiting]
    this.#answer = undefined
    this.#waiting = undefined
    this.#head = ''
    if (answer !== undefined) waiting?.resolve(answer)
  }
}

/** The value of a header of an answer. */
export function headerOf({ head }: Answer, name: string): string {
  const value = new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(head)?.[1]
  if (value === undefined) throw new Error(`the answer has no ${name}:\n${head}`)
  return value
}
