import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseConfig, type Registry, type Storage, startRegistry } from '#registry/index.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import {
  createRegistryClient,
  imageManifest,
  type RegistryClient,
} from '../contract/registry/fixture.ts'

const inMemory = (): Storage => ({
  content: createMemoryBlobDriver(),
  records: createMemoryRecordDriver(),
})

const configOf = (flags: object) =>
  parseConfig({ env: {}, flags: { listen: '127.0.0.1:0', ...flags } })

describe('a registry that starts', () => {
  it('says that its port is taken', async () => {
    const first = await startRegistry(configOf({}), { storage: inMemory() })
    const listen = `127.0.0.1:${first.port}`
    await assert.rejects(startRegistry(configOf({ listen }), { storage: inMemory() }), {
      code: 'CONFIG_INVALID',
      message: new RegExp(listen),
    })
    await first.close()
  })

  it('says that its data directory cannot be used', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'dray-server-'))
    const file = join(dir, 'file')
    await writeFile(file, 'not a directory')
    for (const dataDir of [file, join(file, 'below')]) {
      await assert.rejects(startRegistry(configOf({ dataDir })), {
        code: 'CONFIG_INVALID',
        message: new RegExp(dataDir),
      })
    }
    await rm(dir, { recursive: true })
  })

  it('says that its bucket cannot be reached', async () => {
    const s3 = { bucket: 'b', endpoint: 'http://127.0.0.1:9', pathStyle: true }
    process.env.AWS_ACCESS_KEY_ID ??= 'test'
    process.env.AWS_SECRET_ACCESS_KEY ??= 'test'
    await assert.rejects(startRegistry(configOf({ s3 })), {
      code: 'STORAGE_FAILED',
      message: /127\.0\.0\.1:9/,
    })
  })
})

describe('a running registry', () => {
  const lines: Record<string, unknown>[] = []
  const failing = inMemory()
  let registry: Registry
  let client: RegistryClient
  before(async () => {
    const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const storage = {
      ...failing,
      records: {
        ...failing.records,
        async get(key: string) {
          if (key.includes('broken')) throw new Error('secret detail')
          return failing.records.get(key)
        },
      },
    }
    registry = await startRegistry(configOf({ stallTimeoutMs: 1000 }), { storage, logger })
    client = createRegistryClient([registry.url])
  })
  after(() => registry.close())

  it('logs one line a request, without its query', async () => {
    lines.length = 0
    await client.expect(404, 'GET', '/v2/app/manifests/v1?token=secret')
    await sleep(20)
    const [line, ...more] = lines
    assert.deepEqual(more, [])
    const { method, path, status } = line ?? {}
    assert.deepEqual(
      { method, path, status },
      { method: 'GET', path: '/v2/app/manifests/v1', status: 404 },
    )
    assert.equal(typeof line?.ms, 'number')
    assert.equal(typeof line?.bytes, 'number')
  })

  it('logs what a request was about, under the id that it came with, and no secrets', async () => {
    const digest = await client.pushBlob('team/app', 'logged')
    lines.length = 0
    const headers = {
      ...{ authorization: 'Basic c2VjcmV0', 'x-request-id': 'id-of-proxy', 'user-agent': 'tester' },
      range: 'bytes=0-1',
    }
    const { headers: answered } = await client.expect(
      206,
      'GET',
      `/v2/team/app/blobs/${digest}?_state=secret`,
      { headers },
    )
    assert.equal(answered['x-request-id'], 'id-of-proxy')
    await sleep(20)
    const { pid, time, level, hostname, ms, bytes, received, ...line } = lines[0] ?? {}
    assert.deepEqual(line, {
      ...{ msg: 'request', method: 'GET', path: `/v2/team/app/blobs/${digest}`, status: 206 },
      ...{ route: 'blob', repository: 'team/app', digest, user: 'anonymous' },
      ...{ remote: '127.0.0.1', userAgent: 'tester', requestId: 'id-of-proxy' },
    })
    assert.ok(Number(bytes) > 2 && Number(received) > 50)
    assert.doesNotMatch(JSON.stringify(lines), /secret|c2VjcmV0/)
  })

  it('gives requests an id of its own rather than one that is no id', async () => {
    const headers = { 'x-request-id': 'a b' }
    const answer = await client.expect(200, 'GET', '/v2/', { headers })
    assert.match(String(answer.headers['x-request-id']), /^[0-9a-f-]{36}$/)
  })

  it('tells nothing of a failure of its own to the client, and all to the log', async () => {
    lines.length = 0
    const answer = await client.expect(500, 'GET', '/v2/broken/manifests/v1', {
      code: 'UNSUPPORTED',
    })
    assert.ok(!answer.body.toString().includes('secret detail'))
    assert.ok(JSON.stringify(lines).includes('secret detail'))
  })

  it('drops a client that stops sending, and keeps what it sent', async () => {
    const location = await client.startUpload('app')
    const socket = await open(registry.port)
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello`)
    await closed(socket)
    const { headers } = await client.expect(204, 'GET', location)
    assert.equal(headers.range, '0-4')
  })

  it('waits for a client that is slow, but sends', async () => {
    const location = await client.startUpload('app')
    async function* slow() {
      for (let i = 0; i < 8; i++) {
        await sleep(200)
        yield Buffer.from('x')
      }
    }
    await client.expect(202, 'PATCH', location, { body: slow() })
  })

  it('drops a client that stops reading', async () => {
    const digest = await client.pushBlob('app', randomBytes(64 * 1024 * 1024))
    const socket = await open(registry.port)
    socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await new Promise((resolve) => socket.once('data', resolve))
    socket.pause()
    await sleep(2500)
    let received = 0
    socket.on('data', (chunk) => {
      received += chunk.length
    })
    socket.resume()
    await closed(socket)
    assert.ok(received < 64 * 1024 * 1024)
  })

  it('keeps a connection usable after it refused a body', async () => {
    const socket = await open(registry.port)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    const body = 'x'.repeat(300_000)
    const post = `POST /v2/UPPER/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    socket.write(
      `${post}${body}${post}${body}GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    await closed(socket)
    const statuses = [...text.matchAll(/HTTP\/1\.1 ([0-9]+)/g)].map(([, status]) => status)
    assert.deepEqual(statuses, ['400', '400', '200'])
  })

  it('waits for a refused body that comes slowly', async () => {
    const socket = await open(registry.port)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.write('POST /v2/UPPER/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n')
    for (let i = 0; i < 8; i++) {
      await sleep(200)
      socket.write('x')
    }
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await closed(socket)
    assert.match(text, /HTTP\/1\.1 400 .*HTTP\/1\.1 200 /s)
  })

  it('takes all bytes of an upload that is repeated after its end', async () => {
    const digest = await client.pushBlob('app', 'repeated')
    const location = await client.startUpload('app')
    await client.expect(201, 'PUT', `${location}?digest=${digest}`, { body: 'repeated' })
    const socket = await open(registry.port)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    const body = Buffer.alloc(100 * 1024 * 1024)
    const head = `Host: x\r\nContent-Length: ${body.length}\r\n\r\n`
    socket.write(`PUT ${location}?digest=${digest} HTTP/1.1\r\n${head}`)
    socket.write(body)
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await closed(socket)
    assert.match(text, /HTTP\/1\.1 201 .*HTTP\/1\.1 200 /s)
  })

  it('ends the connection of a client that goes on sending a body that was refused', async () => {
    const socket = await open(registry.port)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    const ended = closed(socket)
    const length = 1024 ** 3
    socket.write(
      `POST /v2/UPPER/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`,
    )
    const chunk = Buffer.alloc(1024 * 1024)
    let sent = 0
    while (!socket.destroyed && sent < 1024) {
      sent++
      const drained = new Promise((resolve) => socket.once('drain', resolve))
      if (!socket.write(chunk)) await Promise.race([drained, ended])
    }
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.ok(sent < 200, `${sent} MiB were taken`)
  })
})

describe('a registry that allows missing references', () => {
  it('takes a manifest whose blobs it lacks, and an index whose manifests it lacks', async (t) => {
    const config = configOf({ missingReferences: 'allow' })
    const registry = await startRegistry(config, { storage: inMemory() })
    t.after(() => registry.close())
    const client = createRegistryClient([registry.url])
    const manifest = JSON.stringify(imageManifest('never pushed'))
    await client.expect(201, 'PUT', '/v2/sparse/manifests/image', { body: manifest })
    const mediaType = MEDIA_TYPE.ociIndex
    const manifests = [{ mediaType: MEDIA_TYPE.ociManifest, digest: digestOf('x'), size: 1 }]
    const index = JSON.stringify({ schemaVersion: 2, mediaType, manifests })
    await client.expect(201, 'PUT', '/v2/sparse/manifests/index', { body: index })
    assert.equal(
      (await client.expect(200, 'GET', '/v2/sparse/manifests/index')).body.toString(),
      index,
    )
  })
})

describe('a registry that stops', () => {
  it('lets requests finish', async () => {
    const registry = await startRegistry(configOf({}), { storage: inMemory() })
    const client = createRegistryClient([registry.url])
    const location = await client.startUpload('app')
    async function* slow() {
      yield Buffer.from('hello')
      await sleep(300)
      yield Buffer.from('world')
    }
    const patched = client.expect(202, 'PATCH', location, { body: slow() })
    await sleep(100)
    await registry.close()
    assert.equal((await patched).headers.range, '0-9')
    await assert.rejects(createRegistryClient([registry.url]).send('GET', '/v2/'), {
      code: /^ECONN(?:REFUSED|RESET)$/,
    })
  })

  it('closes its storage only when the last request is through with it', async () => {
    const { content, records } = inMemory()
    const events: string[] = []
    const storage: Storage = {
      records,
      content: {
        ...content,
        async append(...args) {
          try {
            return await content.append(...args)
          } finally {
            await sleep(300)
            events.push('stored')
          }
        },
        async close() {
          events.push('closed')
        },
      },
    }
    const registry = await startRegistry(configOf({ shutdownTimeoutMs: 100 }), { storage })
    const location = await createRegistryClient([registry.url]).startUpload('app')
    const socket = await open(registry.port)
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello`)
    await sleep(100)
    await registry.close()
    assert.deepEqual(events, ['stored', 'closed'])
  })

  it('cuts requests off that take too long, and keeps what they brought', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'dray-server-'))
    const config = configOf({ dataDir, shutdownTimeoutMs: 200 })
    const registry = await startRegistry(config)
    const client = createRegistryClient([registry.url])
    const location = await client.startUpload('app')
    const socket = await open(registry.port)
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello`)
    await sleep(100)
    await registry.close()
    const again = await startRegistry(config)
    const resumed = createRegistryClient([again.url])
    const { headers } = await resumed.expect(204, 'GET', location)
    assert.equal(headers.range, '0-4')
    await resumed.expect(202, 'PATCH', location, { body: ' world' })
    await resumed.expect(201, 'PUT', `${location}?digest=${digestOf('hello world')}`)
    await again.close()
    await rm(dataDir, { recursive: true })
  })
})

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve))
}
