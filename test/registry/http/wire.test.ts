import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { parseConfig, type Registry, startRegistry } from '#registry/index.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { createRegistryClient, type RegistryClient } from '../../contract/registry/fixture.ts'

const ALL = { limit: 100_000 }
const digest = digestOf('hello')
const PUSH = `POST /v2/app/blobs/uploads/?digest=${digest} HTTP/1.1`
/** A request that pushes, hidden where a server may look for the next one. */
const HIDDEN = `POST /v2/hidden/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`

/** Requests that no client library would send, byte for byte, and the statuses that they get. */
const REFUSED: readonly [string, string, readonly number[]][] = [
  [
    'two lengths',
    `${PUSH}\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    [400],
  ],
  [
    'a length and chunks',
    `${PUSH}\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    [400],
  ],
  [
    'chunks and a length',
    `${PUSH}\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n0\r\n\r\n${HIDDEN}`,
    [400],
  ],
  [
    'an encoding that ends in something else',
    `${PUSH}\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`,
    [400],
  ],
  [
    'an unknown encoding',
    `${PUSH}\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    [400],
  ],
  [
    'a size of a chunk that is none',
    `${PUSH}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n`,
    [400],
  ],
  ['a negative length', `${PUSH}\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello`, [400]],
  ['a length with a sign', `${PUSH}\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello`, [400]],
  ['a length in hex', `${PUSH}\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello`, [400]],
  [
    'a length past 2^64',
    `${PUSH}\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nhello`,
    [400],
  ],
  ['a space before a colon', `${PUSH}\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello`, [400]],
  ['a NUL in a header', `${PUSH}\r\nHost: x\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello`, [400]],
  [
    'a bare carriage return',
    `${PUSH}\r\nHost: x\r\nX: a\rb\r\nContent-Length: 5\r\n\r\nhello`,
    [400],
  ],
  ['no host', `${PUSH}\r\nContent-Length: 5\r\n\r\nhello`, [400]],
  ['a NUL in the path', 'GET /v2/a\0b/tags/list HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
  ['a space in the path', 'GET /v2/a b/tags/list HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
  [
    'bytes above ASCII in the path',
    'GET /v2/\xc3\xa4/tags/list HTTP/1.1\r\nHost: x\r\n\r\n',
    [400],
  ],
  ['a path upwards', 'GET /v2/../v2/app/tags/list HTTP/1.1\r\nHost: x\r\n\r\n', [400, 404]],
  ['an encoded path upwards', 'GET /v2/%2e%2e/tags/list HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
  ['no path', 'GET * HTTP/1.1\r\nHost: x\r\n\r\n', [400, 404]],
  ['a method in lower case', 'get /v2/ HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
  ['an unknown method', 'PURGEALL /v2/ HTTP/1.1\r\nHost: x\r\n\r\n', [400]],
  ['another version', 'GET /v2/ HTTP/3.0\r\nHost: x\r\n\r\n', [400, 505]],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
  ['what is no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
  ['headers of 20 KiB', `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_480)}\r\n\r\n`, [431]],
  ['3,000 headers', `GET /v2/ HTTP/1.1\r\nHost: x\r\n${'X-Many: 1\r\n'.repeat(3000)}\r\n`, [431]],
  [
    'a path of 20 KiB',
    `GET /v2/${'a'.repeat(20_480)}/tags/list HTTP/1.1\r\nHost: x\r\n\r\n`,
    [431],
  ],
  [
    'an expectation that there is none of',
    `${PUSH}\r\nHost: x\r\nExpect: magic\r\nContent-Length: 5\r\n\r\nhello`,
    [417],
  ],
  [
    'a manifest of 1 PiB',
    `PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${2 ** 50}\r\nConnection: close\r\n\r\n{`,
    [413],
  ],
]

describe('a registry on the wire', () => {
  const records = createMemoryRecordDriver()
  let registry: Registry
  let client: RegistryClient
  let untouched: readonly string[]
  before(async () => {
    const flags = { listen: '127.0.0.1:0', stallTimeoutMs: 1000 }
    const storage = { content: createMemoryBlobDriver(), records }
    registry = await startRegistry(parseConfig({ env: {}, flags }), { storage })
    client = createRegistryClient([registry.url])
  })
  after(() => registry.close())
  beforeEach(async () => {
    untouched = await records.list('', ALL)
  })

  /** Sends bytes and returns all that comes back until the registry ends the connection. */
  function exchange(request: string): Promise<string> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = []
      const socket = connect(registry.port, '127.0.0.1', () => socket.write(request, 'latin1'))
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('error', () => {})
      socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
      // What is refused for its form ends the connection at once; what is not gets no second request.
      socket.on('data', () => socket.end())
    })
  }
  const statusesOf = (text: string) =>
    [...text.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status))

  for (const [what, request, statuses] of REFUSED) {
    it(`refuses ${what}, and takes nothing that may be hidden behind`, async () => {
      const [status, ...more] = statusesOf(await exchange(request))
      assert.ok(statuses.includes(status ?? 0), `${status}`)
      assert.deepEqual(more, [])
      assert.deepEqual(await records.list('', ALL), untouched)
    })
  }

  it('serves a request that names a host before its path, as RFC 9112 wants it', async () => {
    const request = 'GET http://elsewhere/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const [status] = statusesOf(await exchange(request))
    assert.equal(status, 200)
  })

  it('tells a client that expects to be told to go on, and answers it', async () => {
    const head = `${PUSH}\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close`
    const answered = new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(registry.port, '127.0.0.1', () => socket.write(`${head}\r\n\r\n`))
      socket.on('data', (chunk) => {
        if (text === '') socket.write('hello')
        text += chunk
      })
      socket.on('close', () => resolve(text))
    })
    assert.deepEqual(statusesOf(await answered), [100, 201])
    await client.expect(200, 'GET', `/v2/app/blobs/${digest}`)
  })

  it('answers requests in the order in which they came, without waiting for the next', async () => {
    const paths = Array.from({ length: 50 }, (_, n) => (n % 2 ? '/v2/' : '/v2/app/manifests/none'))
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join('')
    const last = 'GET /v2/x/y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    const text = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(registry.port, '127.0.0.1', () => socket.write(requests + last))
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
    })
    assert.deepEqual(statusesOf(text), [...paths.map((_, n) => (n % 2 ? 200 : 404)), 404])
  })

  it('sends nobody to a host that a request names', async () => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'gopher',
      forwarded: 'host=evil.example',
    }
    const started = await client.expect(202, 'POST', '/v2/app/blobs/uploads/', { headers })
    assert.match(started.headers.location ?? '', /^\/v2\/app\/blobs\/uploads\//)
    const path = `/v2/app/blobs/uploads/?digest=${digest}`
    const pushed = await client.expect(201, 'POST', path, { headers, body: 'hello' })
    assert.equal(pushed.headers.location, `/v2/app/blobs/${digest}`)
  })

  it('keeps a blob as it came, whatever encoding its sender names', async () => {
    const bytes = Buffer.from('1f8b08000000000000034b04000000', 'hex')
    const headers = { 'content-encoding': 'gzip' }
    const path = `/v2/app/blobs/uploads/?digest=${digestOf(bytes)}`
    await client.expect(201, 'POST', path, { headers, body: bytes })
    const { body } = await client.expect(200, 'GET', `/v2/app/blobs/${digestOf(bytes)}`)
    assert.ok(bytes.equals(body))
  })

  it('refuses long names that make a careless pattern slow', async () => {
    const names = [
      `${'a'.repeat(254)}!`,
      `${'a-'.repeat(127)}!`,
      `${'a/'.repeat(120)}A`,
      '-'.repeat(255),
    ]
    for (const name of names) await client.expect(400, 'GET', `/v2/${name}/tags/list`)
    for (const tag of ['-'.repeat(10_000), `${'.'.repeat(128)}`]) {
      await client.expect(400, 'GET', `/v2/app/manifests/${tag}`)
    }
  })

  it('opens a thousand uploads, and still serves', async () => {
    const locations = await Promise.all(
      Array.from({ length: 1000 }, () => client.startUpload('app')),
    )
    assert.equal(new Set(locations).size, 1000)
    await client.expect(200, 'GET', '/v2/')
    assert.deepEqual(await records.list('', ALL), untouched)
  })
})
