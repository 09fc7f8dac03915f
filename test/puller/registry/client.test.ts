import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import { openRepository, type RepositoryClient } from '#puller/registry/client.ts'
import { startServer, type TestServer } from '../../support/http-server.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, server: TestServer) => void

const MANIFEST = Buffer.from('{"schemaVersion":2}')
const BLOB = Buffer.from('some bytes')

async function serve(t: TestContext, answer: Answer): Promise<TestServer> {
  const server = await startServer((request, response) => answer(request, response, server))
  t.after(() => server.close())
  return server
}

function open(host: string, access: 'pull' | 'push' = 'pull'): Promise<RepositoryClient> {
  return openRepository({ registry: host, repository: parseRepositoryName('team/app'), access })
}

/** A registry that wants a token from `realm`. */
function guarded(realm: (server: TestServer) => string): Answer {
  return (request, response, server) => {
    if (request.url === '/v2/') return response.writeHead(401).end()
    if (request.url?.startsWith('/token')) return response.end('{"token":"secret"}')
    if (request.headers.authorization === 'Bearer secret')
      return response.writeHead(200).end(MANIFEST)
    const challenge = `Bearer realm="${realm(server)}",service="here"`
    return response.writeHead(401, { 'www-authenticate': challenge }).end()
  }
}

describe('a repository client', () => {
  it('gets a token when it is asked for one, for what it will do, and keeps it', async (t) => {
    const server = await serve(
      t,
      guarded(({ host }) => `http://${host}/token`),
    )
    const client = await open(server.host, 'push')
    await client.getManifest('1')
    await client.getManifest('1')
    const tokens = server.requests.filter(({ url }) => url.startsWith('/token'))
    assert.deepEqual(
      tokens.map(({ url }) => [...new URL(url, 'http://x').searchParams]),
      [
        [
          ['service', 'here'],
          ['scope', 'repository:team/app:pull,push'],
        ],
      ],
    )
  })

  const BAD_REALMS = ['', 'nonsense', 'ftp://127.0.0.1/token', 'file:///etc/passwd']
  for (const realm of BAD_REALMS) {
    it(`asks nobody for a token where the realm is ${JSON.stringify(realm)}`, async (t) => {
      const server = await serve(
        t,
        guarded(() => realm),
      )
      await assert.rejects((await open(server.host)).getManifest('1'), { code: 'REGISTRY_FAILED' })
    })
  }

  it('takes a token along to no other host', async (t) => {
    const other = await serve(t, (_request, response) => response.end(BLOB))
    const server = await serve(t, (request, response, self) => {
      if (!request.url?.includes('/blobs/'))
        return guarded(({ host }) => `http://${host}/token`)(request, response, self)
      return response
        .writeHead(307, { location: `http://localhost:${other.host.split(':')[1]}/blob` })
        .end()
    })
    const client = await open(server.host)
    await client.getManifest('1')
    const { body } = await client.openBlob(describeBytes(MEDIA_TYPE.ociLayer, BLOB), undefined)
    assert.deepEqual(Buffer.concat(await body.toArray()), BLOB)
    assert.equal(server.requests.at(-1)?.headers.authorization, 'Bearer secret')
    assert.equal(other.requests[0]?.headers.authorization, undefined)
  })

  it('says that there is no such image', async (t) => {
    const server = await serve(t, (_request, response) => response.writeHead(404).end())
    await assert.rejects((await open(server.host)).getManifest('1'), {
      code: 'IMAGE_UNKNOWN',
      message: /no 1 in it: dray remote tags [^ ]*\/team\/app lists what is there$/,
    })
  })

  it('refuses a manifest that is not the one of its digest', async (t) => {
    const server = await serve(t, (_request, response) => response.end(MANIFEST))
    const client = await open(server.host)
    await assert.rejects(client.getManifest(digestOf('another')), { code: 'CONTENT_MISMATCH' })
    assert.equal((await client.getManifest(digestOf(MANIFEST))).digest, digestOf(MANIFEST))
  })

  it('refuses a manifest that contradicts the digest that the registry announces', async (t) => {
    const server = await serve(t, (_request, response) =>
      response.writeHead(200, { 'docker-content-digest': digestOf('another') }).end(MANIFEST),
    )
    await assert.rejects((await open(server.host)).getManifest('1'), { code: 'CONTENT_MISMATCH' })
  })

  it('reads no more of a manifest than a manifest may have', async (t) => {
    const server = await serve(t, (request, response) => {
      if (request.url === '/v2/') return response.end()
      const endless = new Readable({ read: () => endless.push(Buffer.alloc(1 << 20)) })
      response.on('close', () => endless.destroy())
      return endless.pipe(response)
    })
    await assert.rejects((await open(server.host)).getManifest('1'), { code: 'REGISTRY_FAILED' })
  })

  const ADVICE = [
    [401, /or refuses those that it was shown \(dray login\)/],
    [403, /another account may \(dray login\)$/],
    [405, /is it a registry of images, and does a proxy/],
    [429, /try again later, or log in/],
    [500, /its log tells why; try again later$/],
  ] as const
  for (const [status, message] of ADVICE) {
    it(`says what to do about an answer ${status} without a reason`, async (t) => {
      const server = await serve(t, (_request, response) => response.writeHead(status).end())
      await assert.rejects((await open(server.host)).getManifest('1'), { message })
    })
  }

  it('quotes what the registry says went wrong, without its control characters', async (t) => {
    const server = await serve(t, (_request, response) =>
      response
        .writeHead(403)
        .end('{"errors":[{"code":"DENIED","message":"not\\u001b[31m yours"}]}'),
    )
    await assert.rejects((await open(server.host)).getManifest('1'), {
      code: 'REGISTRY_FAILED',
      message: /DENIED: not\?\[31m yours/,
    })
  })

  it('sends a blob in one request, to wherever the registry opened the upload', async (t) => {
    const received: Buffer[] = []
    const server = await serve(t, (request, response) => {
      if (request.method === 'POST')
        return response.writeHead(202, { location: '/up/1?state=a%2Fb' }).end()
      if (request.method !== 'PUT') return response.end()
      request.on('data', (chunk: Buffer) => received.push(chunk))
      return request.on('end', () => response.writeHead(201).end())
    })
    const blob = describeBytes(MEDIA_TYPE.ociLayer, BLOB)
    const client = await open(server.host, 'push')
    await client.uploadBlob({ blob, open: () => Readable.from([BLOB]) }).send()
    assert.deepEqual(Buffer.concat(received), BLOB)
    const put = new URL(server.requests.at(-1)?.url ?? '', 'http://x')
    assert.equal(put.pathname, '/up/1')
    assert.equal(put.searchParams.get('state'), 'a/b')
    assert.equal(put.searchParams.get('digest'), blob.digest)
    assert.equal(server.requests.at(-1)?.headers['content-length'], String(BLOB.length))
  })

  it('says which registry does not answer', async () => {
    await assert.rejects(open('127.0.0.1:1'), {
      code: 'REGISTRY_UNREACHABLE',
      message: /127\.0\.0\.1:1/,
    })
  })
})
