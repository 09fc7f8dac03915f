import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import type { Credential } from '#puller/credentials/credential.ts'
import { logIn } from '#puller/login.ts'
import { openRepository, type RepositoryClient } from '#puller/registry/client.ts'
import { isSameSite } from '#puller/registry/same-site.ts'
import { startServer, type TestServer } from '../../support/http-server.ts'

type Answer = (request: IncomingMessage, response: ServerResponse, server: TestServer) => void

const PASSWORD = { kind: 'password', username: 'me', password: 'hunter2' } as const
const REFRESH = { kind: 'identity-token', token: 'refresh-hunter2' } as const
const BASIC = `Basic ${Buffer.from('me:hunter2').toString('base64')}`
const MANIFEST = Buffer.from('{"schemaVersion":2}')
const BLOB = Buffer.from('some bytes')
/** Anything that a credential could look like. */
const SECRETS = /hunter2|bWU6aHVudGVyMg|Bearer|Basic/

async function serve(t: TestContext, answer: Answer): Promise<TestServer> {
  const server = await startServer((request, response) => answer(request, response, server))
  t.after(() => server.close())
  return server
}

function open(
  host: string,
  credential: Credential | undefined,
  tokenServers: readonly string[] = [],
): Promise<RepositoryClient> {
  return openRepository({
    registry: host,
    repository: parseRepositoryName('team/app'),
    access: 'pull',
    credentials: async () => credential,
    tokenServers,
  })
}

/** Another name of this machine, which no credential is for. */
function elsewhere({ host }: TestServer): string {
  return host.replace('127.0.0.1', 'localhost')
}

function refuse(response: ServerResponse, challenge: string): void {
  response.writeHead(401, { 'www-authenticate': challenge }).end()
}

const basicRegistry: Answer = (request, response) =>
  request.headers.authorization === BASIC
    ? response.end(MANIFEST)
    : refuse(response, 'Basic realm="r"')

/** A registry that wants a token from `realm`, where it answers for itself if that is its own. */
function tokenRegistry(realm: (server: TestServer) => string): Answer {
  return (request, response, server) => {
    if (request.url?.startsWith('/token')) return response.end('{"token":"fresh"}')
    return request.headers.authorization === 'Bearer fresh'
      ? response.end(MANIFEST)
      : refuse(response, `Bearer realm="${realm(server)}",service="here"`)
  }
}

function assertShownNothing(server: TestServer): void {
  assert.doesNotMatch(JSON.stringify(server.requests), SECRETS)
}

describe('a credential', () => {
  it('is shown to a registry that asks, not before', async (t) => {
    const server = await serve(t, basicRegistry)
    const client = await open(server.host, PASSWORD)
    await client.getManifest('1')
    await client.getManifest('1')
    const shown = server.requests
      .filter(({ url }) => url.includes('/manifests/'))
      .map(({ headers }) => headers.authorization)
    assert.deepEqual(shown, [undefined, BASIC, BASIC])
  })

  it('is not asked for when the registry asks for none', async (t) => {
    const server = await serve(t, (_request, response) => response.end(MANIFEST))
    const client = await openRepository({
      registry: server.host,
      repository: parseRepositoryName('team/app'),
      access: 'pull',
      credentials: () => assert.fail(),
    })
    await client.getManifest('1')
  })

  it('that is refused is shown once', async (t) => {
    const server = await serve(t, (_request, response) => refuse(response, 'Basic realm="r"'))
    const client = await open(server.host, PASSWORD)
    await assert.rejects(client.getManifest('1'), { code: 'REGISTRY_FAILED', message: /401/ })
    const shown = server.requests.filter(({ headers }) => headers.authorization !== undefined)
    assert.equal(shown.length, 1)
  })

  it('gets a token on the registry’s own site, by name', async (t) => {
    const server = await serve(
      t,
      tokenRegistry(({ host }) => `http://${host}/token`),
    )
    await (await open(server.host, PASSWORD)).getManifest('1')
    const [asked] = server.requests.filter(({ url }) => url.startsWith('/token'))
    assert.equal(asked?.headers.authorization, BASIC)
    assert.equal(new URL(asked?.url ?? '', 'http://x').searchParams.get('account'), 'me')
  })

  it('goes in the body, when it is an identity token', async (t) => {
    const bodies: string[] = []
    const server = await serve(t, (request, response, self) => {
      if (request.method === 'POST') request.on('data', (chunk) => bodies.push(String(chunk)))
      return tokenRegistry(({ host }) => `http://${host}/token`)(request, response, self)
    })
    await (await open(server.host, REFRESH)).getManifest('1')
    assert.deepEqual(Object.fromEntries(new URLSearchParams(bodies.join(''))), {
      service: 'here',
      scope: 'repository:team/app:pull',
      grant_type: 'refresh_token',
      refresh_token: REFRESH.token,
      client_id: 'dray',
    })
    assert.doesNotMatch(server.requests.map(({ url }) => url).join(), SECRETS)
  })

  for (const credential of [PASSWORD, REFRESH]) {
    describe(`of the kind ${credential.kind}`, () => {
      it('goes to no token server on another site, unless that is trusted (CVE-2026-33540)', async (t) => {
        const other = await serve(t, (_request, response) => response.end('{"token":"fresh"}'))
        const server = await serve(
          t,
          tokenRegistry(() => `http://${elsewhere(other)}/token`),
        )
        await assert.rejects((await open(server.host, credential)).getManifest('1'), {
          code: 'REGISTRY_FAILED',
          message: new RegExp(`another site, ${elsewhere(other)}.*--token-server`),
        })
        assert.equal(other.requests.length, 0)
        const trusting = await open(server.host, credential, [elsewhere(other)])
        await trusting.getManifest('1')
        assert.equal(other.requests.length, 1)
      })

      it('follows no redirect of a token server', async (t) => {
        const other = await serve(t, (_request, response) => response.end('{"token":"fresh"}'))
        const server = await serve(t, (request, response, self) =>
          request.url?.startsWith('/token')
            ? response.writeHead(307, { location: `http://${elsewhere(other)}/token` }).end()
            : tokenRegistry(({ host }) => `http://${host}/token`)(request, response, self),
        )
        await assert.rejects((await open(server.host, credential)).getManifest('1'), {
          code: 'REGISTRY_FAILED',
          message: /answered 307/,
        })
        assert.equal(other.requests.length, 0)
      })
    })
  }

  it('goes along with no redirect to another host or port', async (t) => {
    const other = await serve(t, (_request, response) => response.end(BLOB))
    for (const target of [other.host, elsewhere(other)]) {
      const server = await serve(t, (request, response, self) =>
        request.headers.authorization === BASIC && request.url?.includes('/blobs/')
          ? response.writeHead(307, { location: `http://${target}/blob` }).end()
          : basicRegistry(request, response, self),
      )
      const client = await open(server.host, PASSWORD)
      const blob = describeBytes(MEDIA_TYPE.ociLayer, BLOB)
      const { body, source } = await client.openBlob(blob, undefined)
      assert.deepEqual(Buffer.concat(await body.toArray()), BLOB)
      assert.deepEqual(source.headers, {})
    }
    assert.equal(other.requests.length, 2)
    assertShownNothing(other)
  })

  it('is not shown to the host that uploads are sent to', async (t) => {
    const other = await serve(t, (request, response) => {
      request.resume()
      request.on('end', () => refuse(response, 'Basic realm="r"'))
    })
    const server = await serve(t, (request, response, self) => {
      if (request.method !== 'POST') return basicRegistry(request, response, self)
      if (request.headers.authorization !== BASIC) return refuse(response, 'Basic realm="r"')
      return response.writeHead(202, { location: `http://${other.host}/up` }).end()
    })
    const client = await open(server.host, PASSWORD)
    const blob = describeBytes(MEDIA_TYPE.ociLayer, BLOB)
    await assert.rejects(client.uploadBlob({ blob, open: () => Readable.from([BLOB]) }).send(), {
      code: 'REGISTRY_FAILED',
    })
    assert.equal(other.requests.length, 1)
    assertShownNothing(other)
  })

  it('is renewed once for requests that are refused together', async (t) => {
    const server = await serve(
      t,
      tokenRegistry(({ host }) => `http://${host}/token`),
    )
    const client = await open(server.host, PASSWORD)
    await Promise.all(['1', '2', '3', '4'].map((tag) => client.getManifest(tag)))
    assert.equal(server.requests.filter(({ url }) => url.startsWith('/token')).length, 1)
  })

  it('is in no error', async (t) => {
    const server = await serve(t, (request, response, self) =>
      request.url?.startsWith('/token')
        ? response.writeHead(403).end('{}')
        : tokenRegistry(({ host }) => `http://${host}/token`)(request, response, self),
    )
    const failed = (await open(server.host, PASSWORD)).getManifest('1')
    await assert.rejects(failed, (error: Error) => {
      assert.doesNotMatch(`${error.stack} ${error.cause} ${JSON.stringify(error)}`, SECRETS)
      return true
    })
  })
})

describe('a site', () => {
  const PAIRS = [
    { a: 'auth.docker.io', b: 'registry-1.docker.io', same: true },
    { a: 'gitlab.com', b: 'registry.gitlab.com', same: true },
    { a: 'auth.example.co.uk', b: 'registry.example.co.uk', same: true },
    { a: 'evil.co.uk', b: 'example.co.uk', same: false },
    { a: 'evil.github.io', b: 'example.github.io', same: false },
    { a: 'docker.io.evil.example', b: 'docker.io', same: false },
    { a: 'evildocker.io', b: 'docker.io', same: false },
    { a: '10.0.0.1', b: '10.0.0.2', same: false },
    { a: 'localhost', b: '127.0.0.1', same: false },
    { a: 'registry', b: 'auth', same: false },
    { a: 'registry', b: 'registry', same: true },
  ]
  for (const { a, b, same } of PAIRS) {
    it(`of ${a} is ${same ? '' : 'not '}that of ${b}`, async () => {
      assert.equal(await isSameSite(new URL(`https://${a}`), new URL(`https://${b}`)), same)
    })
  }
})

describe('a log-in', () => {
  it('says that a password is wrong', async (t) => {
    const server = await serve(t, (_request, response) => refuse(response, 'Basic realm="r"'))
    await assert.rejects(logIn(server.host, PASSWORD), { code: 'UNAUTHORIZED' })
  })

  it('says so too when the token server says it', async (t) => {
    const server = await serve(t, (request, response, self) =>
      request.url?.startsWith('/token')
        ? response.writeHead(401).end()
        : tokenRegistry(({ host }) => `http://${host}/token`)(request, response, self),
    )
    await assert.rejects(logIn(server.host, PASSWORD), { code: 'UNAUTHORIZED' })
  })

  it('keeps the password where there is nothing better', async (t) => {
    const server = await serve(t, basicRegistry)
    assert.deepEqual(await logIn(server.host, PASSWORD), {
      credential: PASSWORD,
      isChecked: true,
    })
  })

  it('keeps an identity token where the registry gives one', async (t) => {
    const server = await serve(t, (request, response, self) =>
      request.url?.startsWith('/token')
        ? response.end('{"token":"fresh","refresh_token":"later"}')
        : tokenRegistry(({ host }) => `http://${host}/token`)(request, response, self),
    )
    assert.deepEqual(await logIn(server.host, PASSWORD), {
      credential: { kind: 'identity-token', token: 'later' },
      isChecked: true,
    })
  })

  it('tells when nobody asked', async (t) => {
    const server = await serve(t, (_request, response) => response.end())
    assert.equal((await logIn(server.host, PASSWORD)).isChecked, false)
    assertShownNothing(server)
  })
})
