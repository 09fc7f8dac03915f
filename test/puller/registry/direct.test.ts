import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { createDirectReader } from '#puller/registry/direct.ts'
import { parseHead } from '#puller/registry/head.ts'

const RANGE = { start: 10, end: 20 }
const CONTENT = 'abcdefghijklmnopqrstuvwxyz'
const HEAD = `HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 10-19/26`
const ANSWER = `${HEAD}\r\n\r\n${CONTENT.slice(10, 20)}`

describe('parseHead', () => {
  const right = HEAD
  const wrong: Readonly<Record<string, string>> = {
    'another status': HEAD.replace('206', '200'),
    'an older protocol': HEAD.replace('HTTP/1.1', 'HTTP/1.0'),
    'another range': HEAD.replace('10-19', '10-18'),
    'another length': HEAD.replace('Length: 10', 'Length: 11'),
    'no length': HEAD.replace(/Content-Length.*\r\n/, ''),
    'two lengths': `${HEAD}\r\ncontent-length: 10`,
    'a body in chunks': `${HEAD}\r\nTransfer-Encoding: chunked`,
    'an encoded body': `${HEAD}\r\nContent-Encoding: gzip`,
    'a line that is no field': `${HEAD}\r\nnonsense`,
    'a folded line': `${HEAD}\r\n folded: 1`,
    nothing: '',
  }
  it('understands the expected answer', () => {
    assert.deepEqual(parseHead(right, RANGE), { isLast: false })
    assert.deepEqual(parseHead(`${right}\r\nX: y\r\nX: z`, RANGE), { isLast: false })
    assert.deepEqual(parseHead(`${right}\r\nConnection: Close`, RANGE), { isLast: true })
  })
  for (const [what, head] of Object.entries(wrong)) {
    it(`does not understand ${what}`, () => assert.equal(parseHead(head, RANGE), undefined))
  }
})

/** A server that does what the test says with each request it gets. */
async function serve(t: TestContext, answer: (socket: Socket, request: string) => void) {
  const requests: string[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      requests.push(String(data))
      answer(socket, String(data))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reader = createDirectReader(300)
  t.after(() => {
    reader.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const source = {
    url: `http://127.0.0.1:${port}/blob?sig=1`,
    headers: { authorization: 'Bearer t' },
  }
  let got = ''
  const stop = new AbortController()
  const read = () =>
    reader.read(
      source,
      RANGE,
      (chunk) => {
        got += chunk
        return undefined
      },
      stop.signal,
    )
  return { reader, source, read, stop, requests, sockets, got: () => got }
}

describe('createDirectReader', () => {
  it('asks for the range with the headers of its source, and uses the connection again', async (t) => {
    const { read, got, requests, sockets } = await serve(t, (socket) => socket.write(ANSWER))
    assert.equal(await read(), true)
    assert.equal(await read(), true)
    assert.equal(got(), CONTENT.slice(10, 20).repeat(2))
    assert.match(requests[0] ?? '', /^GET \/blob\?sig=1 HTTP\/1\.1\r\nhost: 127\.0\.0\.1:/)
    assert.match(requests[0] ?? '', /authorization: Bearer t\r\nrange: bytes=10-19\r\n\r\n$/)
    assert.equal(sockets.length, 1)
  })

  it('opens another connection where the server ended the last one', async (t) => {
    const { read, got, sockets } = await serve(t, (socket) => socket.write(ANSWER))
    await read()
    const [first] = sockets as [Socket]
    first.end()
    await once(first, 'close')
    assert.equal(await read(), true)
    assert.equal(got(), CONTENT.slice(10, 20).repeat(2))
    assert.equal(sockets.length, 2)
  })

  it('reads an answer that comes byte by byte', async (t) => {
    const { read, got } = await serve(t, async (socket) => {
      for (const byte of ANSWER) {
        socket.write(byte)
        await new Promise(setImmediate)
      }
    })
    assert.equal(await read(), true)
    assert.equal(got(), CONTENT.slice(10, 20))
  })

  it('reads nothing of an answer it does not expect', async (t) => {
    const { read, got, sockets } = await serve(t, (socket) =>
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    )
    assert.equal(await read(), false)
    assert.equal(await read(), false)
    assert.equal(got(), '')
    assert.equal(sockets.length, 2)
  })

  it('reads nothing where nobody answers', async (t) => {
    const { read } = await serve(t, (socket) => socket.destroy())
    assert.equal(await read(), false)
    const silent = await serve(t, () => undefined)
    assert.equal(await silent.read(), false)
  })

  it('never takes more than the range', async (t) => {
    const { read, got, sockets } = await serve(t, (socket) => socket.write(`${ANSWER}and more`))
    assert.equal(await read(), true)
    assert.equal(got(), CONTENT.slice(10, 20))
    assert.equal(await read(), true)
    assert.equal(sockets.length, 2)
  })

  it('fails, retryably, when the answer breaks off or stalls', async (t) => {
    for (const then of [(socket: Socket) => socket.end(), () => undefined]) {
      const { read, got } = await serve(t, (socket) =>
        socket.write(ANSWER.slice(0, -4), () => then(socket)),
      )
      await assert.rejects(read(), { code: 'REGISTRY_UNREACHABLE', retryable: true })
      assert.equal(got(), CONTENT.slice(10, 16))
    }
  })

  it('reads on only when its caller has caught up, and passes its error on', async (t) => {
    const { reader, source } = await serve(t, (socket) => socket.write(ANSWER))
    const { promise, resolve } = Promise.withResolvers<void>()
    let ended = false
    const reading = reader
      .read(source, RANGE, () => promise, new AbortController().signal)
      .finally(() => {
        ended = true
      })
    await new Promise((done) => setTimeout(done, 20))
    assert.equal(ended, false)
    resolve()
    assert.equal(await reading, true)
    const failure = new Error('disk full')
    const failing = reader.read(
      source,
      RANGE,
      () => {
        throw failure
      },
      new AbortController().signal,
    )
    await assert.rejects(failing, failure)
  })

  it('stops when it is told to', async (t) => {
    const { read, stop } = await serve(t, (socket) => socket.write(ANSWER.slice(0, -4)))
    const reading = read()
    setTimeout(() => stop.abort(new Error('enough')), 20)
    await assert.rejects(reading, /enough/)
    await assert.rejects(read(), /enough/)
  })

  it('asks for nothing when it is told to stop while it connects', async (t) => {
    const { read, stop } = await serve(t, (socket) => socket.write(ANSWER))
    const reading = read()
    stop.abort(new Error('enough'))
    await assert.rejects(reading, /enough/)
  })
})
