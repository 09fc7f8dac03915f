import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import { openRepository } from '#puller/registry/client.ts'
import { createHttpClient, type HttpClient } from '#puller/registry/http.ts'
import { resolveEndpoint } from '#puller/registry/endpoint.ts'
import { createCertificate } from '../../support/certificates.ts'

const CA = createCertificate('test CA')
const SERVER = createCertificate('server', { ca: CA, ip: ['127.0.0.1'] })
const BLOB = describeBytes(MEDIA_TYPE.ociLayer, Buffer.from('some bytes'))
const BASIC = `Basic ${Buffer.from('me:hunter2').toString('base64')}`
const TLS_HANDSHAKE = 0x16

type Scheme = 'http' | 'https'

interface Seen {
  readonly scheme: Scheme
  readonly url: string
  readonly authorization: string | undefined
}

/**
 * A registry that speaks TLS and plain HTTP on one port, and asks for a password by the scheme `own`. There it sends
 * clients to the other scheme for blobs and uploads, where it answers everybody.
 */
async function serve(
  t: TestContext,
  own: Scheme,
  challenge = (_host: string) => 'Basic realm="r"',
) {
  const seen: Seen[] = []
  const other = own === 'https' ? 'http' : 'https'
  const listener =
    (scheme: Scheme): RequestListener =>
    (request, response) => {
      const { method, url = '' } = request
      const { authorization } = request.headers
      request.resume()
      seen.push({ scheme, url, authorization })
      if (scheme !== own) return response.writeHead(method === 'PUT' ? 201 : 200).end('some bytes')
      if (url === '/v2/') return response.end()
      if (authorization !== BASIC) {
        return response.writeHead(401, { 'www-authenticate': challenge(host) }).end()
      }
      const location = `${other}://${host}/moved`
      return response.writeHead(method === 'POST' ? 202 : 307, { location }).end()
    }
  const secure = createHttpsServer({ cert: SERVER.cert, key: SERVER.key }, listener('https'))
  const plain = createHttpServer(listener('http'))
  const server = createServer((socket) => {
    socket.once('data', (first) => {
      socket.pause()
      socket.unshift(first)
      const speaker = first[0] === TLS_HANDSHAKE ? secure : plain
      speaker.emit('connection', socket)
      process.nextTick(() => socket.resume())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  t.after(() => {
    for (const speaker of [secure, plain]) speaker.closeAllConnections()
    server.close()
  })
  const client = await openRepository({
    registry: host,
    repository: parseRepositoryName('team/app'),
    access: 'push',
    plainHttp: own === 'http',
    certificates: async () => ({ ca: [CA.cert] }),
    credentials: async () => ({ kind: 'password', username: 'me', password: 'hunter2' }),
  })
  return { client, shown: () => seen.filter(({ authorization }) => authorization), seen }
}

describe('credentials for a registry', () => {
  it('go along to no plain HTTP, though it is the same host and port', async (t) => {
    const { client, seen, shown } = await serve(t, 'https')
    const { body, source } = await client.openBlob(BLOB, undefined)
    assert.equal(String(Buffer.concat(await body.toArray())), 'some bytes')
    assert.deepEqual(source.headers, {})
    await client
      .uploadBlob({ blob: BLOB, open: () => Readable.from([Buffer.from('some bytes')]) })
      .send()
    assert.equal(seen.filter(({ url }) => url.startsWith('/moved')).length, 2)
    assert.ok(shown().length > 0)
    assert.ok(shown().every(({ scheme }) => scheme === 'https'))
  })

  it('go along to no TLS either, of which nobody knows whose it is', async (t) => {
    const { client, shown } = await serve(t, 'http')
    await client.openBlob(BLOB, undefined).catch(() => undefined)
    await client
      .uploadBlob({ blob: BLOB, open: () => Readable.from([Buffer.from('some bytes')]) })
      .send()
      .catch(() => undefined)
    assert.ok(shown().length > 0)
    assert.ok(shown().every(({ scheme }) => scheme === 'http'))
  })

  it('get no token over plain HTTP from a registry with TLS', async (t) => {
    const { client, seen } = await serve(
      t,
      'https',
      (host) => `Bearer realm="http://${host}/token"`,
    )
    await assert.rejects(client.hasBlob(BLOB.digest), {
      code: 'REGISTRY_FAILED',
      message: /without TLS/,
    })
    assert.ok(seen.every(({ url }) => !url.includes('token')))
  })
})

describe('resolveEndpoint', () => {
  it('asks nobody on other machines whether they go without TLS', async () => {
    const http = () => assert.fail('nobody is to be asked')
    for (const registry of ['registry.example', 'registry.example:5000', '127.0.0.1.example']) {
      assert.equal((await resolveEndpoint(http, registry)).protocol, 'https:')
    }
  })

  // What plain HTTP and TLS answer; undefined for nothing.
  const CASES = [
    { registry: 'localhost:5000', plain: 200, asked: ['http:'] },
    { registry: '127.0.0.1:5000', plain: 401, asked: ['http:'] },
    { registry: '[::1]:5000', plain: 404, tls: 200, asked: ['http:'] },
    { registry: 'localhost:5000', plain: 400, tls: 401, asked: ['http:', 'https:'] },
    { registry: 'localhost:5000', plain: 308, tls: 200, asked: ['http:', 'https:'] },
    { registry: 'localhost:5000', tls: 200, asked: ['http:', 'https:'] },
    { registry: 'localhost:5000', asked: ['http:', 'https:'], fails: true },
    { registry: 'localhost:5000', plain: 200, tls: 200, ca: true, asked: ['https:'] },
    { registry: 'localhost:5000', plain: 200, ca: true, asked: ['https:', 'http:'] },
    { registry: 'localhost', plain: 200, tls: 200, asked: ['https:'] },
    { registry: 'localhost:443', plain: 200, tls: 200, asked: ['https:'] },
    { registry: 'localhost:80', plain: 200, asked: ['https:', 'http:'] },
    { registry: 'far.example:5000', insecure: true, plain: 200, asked: ['https:', 'http:'] },
    { registry: 'far.example:5000', insecure: true, plain: 200, tls: 200, asked: ['https:'] },
  ] as const
  for (const { registry, asked, ...rest } of CASES) {
    const { plain, tls, ca, insecure, fails }: Partial<Record<string, unknown>> = rest
    const answers = `plain ${plain ?? 'nothing'}, TLS ${tls ?? 'nothing'}${ca ? ', a CA' : ''}`
    it(`asks ${registry} by ${asked.join(' then ')} (${answers})`, async () => {
      const seen: string[] = []
      const http: HttpClient = async (url) => {
        seen.push(url.protocol)
        const status = url.protocol === 'http:' ? plain : tls
        if (typeof status !== 'number') throw new Error('nobody there')
        return { status, headers: {}, url: url.href, body: Readable.from([]) }
      }
      const options = { insecure: insecure === true, hasCertificates: ca === true }
      const resolving = resolveEndpoint(http, registry, options)
      if (fails === true) await assert.rejects(resolving, { code: 'REGISTRY_UNREACHABLE' })
      else assert.equal((await resolving).protocol, asked.at(-1))
      assert.deepEqual(seen, asked)
    })
  }
})

describe('a registry that is none, or none to trust', () => {
  const EXPIRED = createCertificate('server', { ca: CA, ip: ['127.0.0.1'], days: -0.5 })
  const OTHER = createCertificate('server', { ca: CA, dns: ['other.example'] })
  const page: RequestListener = (_, response) =>
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>Log in')
  const circle: RequestListener = ({ url }, response) =>
    response.writeHead(url === '/v2/' ? 200 : 302, { location: url }).end()
  const forbidden: RequestListener = (_, response) =>
    response.writeHead(403, { 'content-type': 'text/html' }).end('<html>Blocked')
  const CASES = [
    { of: 'a CA that is not known', secure: SERVER, says: /can't be trusted.*certs\.d\/127/ },
    { of: 'an expired certificate', secure: EXPIRED, knows: CA, says: /trusted.*renewed/ },
    { of: 'the certificate of another name', secure: OTHER, knows: CA, says: /trusted.*by a name/ },
    {
      of: 'TLS, without a CA, by plain HTTP',
      secure: SERVER,
      plainHttp: true,
      says: /did not answer/,
    },
    { of: 'plain HTTP alone', isTls: true, says: /does not speak TLS: .* --plain-http/ },
    { of: 'a web page', listener: page, says: /answered with a web page: is it a registry/ },
    { of: 'redirects in circles', listener: circle, says: /leads round in circles/ },
    { of: 'a proxy that forbids it', listener: forbidden, says: /403 with a web page: a proxy/ },
  ]
  for (const { of, secure, knows, listener = page, isTls, plainHttp, says } of CASES) {
    it(`is told from others: ${of}`, async (t) => {
      const server =
        secure === undefined
          ? createHttpServer(listener)
          : createHttpsServer({ cert: secure.cert, key: secure.key }, listener)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.after(() => {
        server.closeAllConnections()
        server.close()
      })
      const registry = `127.0.0.1:${(server.address() as AddressInfo).port}`
      const certificates = knows === undefined ? undefined : { ca: [knows.cert] }
      const repository = parseRepositoryName('app')
      const getting = isTls
        ? createHttpClient()(new URL(`https://${registry}/v2/`), {})
        : openRepository({
            registry,
            repository,
            access: 'pull',
            plainHttp,
            ...(certificates === undefined ? {} : { certificates: async () => certificates }),
          }).then((client) => client.getManifest('1'))
      await assert.rejects(getting, (error: Error) => {
        assert.match(error.message, says)
        return true
      })
    })
  }
})
