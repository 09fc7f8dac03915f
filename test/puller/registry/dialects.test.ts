import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseRepositoryName } from '#oci/reference.ts'
import type { Credential } from '#puller/credentials/credential.ts'
import { openRepository } from '#puller/registry/client.ts'
import { startServer } from '../../support/http-server.ts'

const MANIFEST = Buffer.from('{"schemaVersion":2}')
const SCOPE = 'repository:team/app:pull'

/** How a registry asks, what its token server answers, and what it is asked then. */
interface Dialect {
  readonly name: string
  /** `HOST` stands for the server. */
  readonly challenge: string
  readonly credential?: Credential
  readonly answer?: object
  /** Method, path and fields, in the order of the wire. */
  readonly asked?: string
  /** `user:password` that the token server is shown. */
  readonly shown?: string
  /** What the registry takes. */
  readonly takes: string
}

const password = (username: string, password: string) =>
  ({ kind: 'password', username, password }) as const
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

const DIALECTS: readonly Dialect[] = [
  {
    name: 'Docker Hub without credentials: both names, a time, and no account',
    challenge: `Bearer realm="http://HOST/token",service="registry.docker.io",scope="${SCOPE}"`,
    answer: {
      token: 'hub',
      access_token: 'hub',
      expires_in: 300,
      issued_at: '2026-01-01T00:00:00.123456789Z',
    },
    asked: `GET /token service=registry.docker.io scope=${SCOPE}`,
    takes: 'Bearer hub',
  },
  {
    name: 'Docker Hub with a password',
    challenge: `Bearer realm="http://HOST/token",service="registry.docker.io",scope="${SCOPE}"`,
    credential: password('me', 'dckr_pat_1'),
    answer: { token: 'hub', access_token: 'hub', expires_in: 300 },
    asked: `GET /token service=registry.docker.io account=me scope=${SCOPE}`,
    shown: 'me:dckr_pat_1',
    takes: 'Bearer hub',
  },
  {
    name: 'Docker Hub with an identity token',
    challenge: 'Bearer realm="http://HOST/token",service="registry.docker.io"',
    credential: { kind: 'identity-token', token: 'kept' },
    answer: { access_token: 'hub', scope: SCOPE, expires_in: 300, refresh_token: 'kept' },
    asked: `POST /token service=registry.docker.io scope=${SCOPE} grant_type=refresh_token refresh_token=kept client_id=dray`,
    takes: 'Bearer hub',
  },
  {
    name: 'ghcr: a token alone, no time',
    challenge: `Bearer realm="http://HOST/token",service="ghcr.io",scope="${SCOPE}"`,
    answer: { token: 'djE6dGVhbS9hcHA6MQ==' },
    asked: `GET /token service=ghcr.io scope=${SCOPE}`,
    takes: 'Bearer djE6dGVhbS9hcHA6MQ==',
  },
  {
    name: 'quay: a realm with a path, a robot with a plus',
    challenge: `Bearer realm="http://HOST/v2/auth",service="quay.io",scope="${SCOPE}"`,
    credential: password('team+robot', 'x:y'),
    answer: { token: 'quay' },
    asked: `GET /v2/auth service=quay.io account=team+robot scope=${SCOPE}`,
    shown: 'team+robot:x:y',
    takes: 'Bearer quay',
  },
  {
    name: 'ECR: no token server, the password is what AWS gave',
    challenge: 'Basic realm="https://1.dkr.ecr.eu-central-1.example/",service="ecr.example"',
    credential: password('AWS', 'eyJwYXlsb2FkIjo='),
    takes: basic('AWS:eyJwYXlsb2FkIjo='),
  },
  {
    name: 'ECR public: a slash behind the path',
    challenge: `Bearer realm="http://HOST/token/",service="public.ecr.aws",scope="aws"`,
    answer: { token: 'ecr' },
    asked: `GET /token/ service=public.ecr.aws scope=${SCOPE}`,
    takes: 'Bearer ecr',
  },
  {
    name: 'GAR: a key in JSON for a password, a token that is the same for all',
    challenge: `Bearer realm="http://HOST/v2/token",service="HOST",scope="${SCOPE}"`,
    credential: password('_json_key', '{"private_key":"-----\\n"}'),
    answer: { token: 'ya29.x', expires_in: 3600, access_token: '' },
    asked: `GET /v2/token service=HOST account=_json_key scope=${SCOPE}`,
    shown: '_json_key:{"private_key":"-----\\n"}',
    takes: 'Bearer ya29.x',
  },
  {
    name: 'ACR: an access token alone',
    challenge: `Bearer realm="http://HOST/oauth2/token",service="r.azurecr.example",scope="${SCOPE}",error="invalid_token"`,
    answer: { access_token: 'acr' },
    asked: `GET /oauth2/token service=r.azurecr.example scope=${SCOPE}`,
    takes: 'Bearer acr',
  },
  {
    name: 'a token that is empty beside one that is not',
    challenge: 'Bearer realm="http://HOST/token"',
    answer: { token: '', access_token: 'there', expires_in: null },
    asked: `GET /token scope=${SCOPE}`,
    takes: 'Bearer there',
  },
  {
    name: 'a realm with a query of its own',
    challenge: 'Bearer realm="http://HOST/token?tenant=1",service="s"',
    answer: { token: 't' },
    asked: `GET /token tenant=1 service=s scope=${SCOPE}`,
    takes: 'Bearer t',
  },
  {
    name: 'a password or a token, as one likes',
    challenge: 'Basic realm="r", Bearer realm="http://HOST/token",service="s"',
    credential: password('me', 'p'),
    answer: { token: 't' },
    asked: `GET /token service=s account=me scope=${SCOPE}`,
    shown: 'me:p',
    takes: 'Bearer t',
  },
]

/** A question to a token server: method, path and fields. */
async function question(request: IncomingMessage): Promise<string> {
  const url = new URL(request.url ?? '', 'http://x')
  const body = request.method === 'POST' ? String(Buffer.concat(await request.toArray())) : ''
  const fields = [...url.searchParams, ...new URLSearchParams(body)]
  return [request.method, url.pathname, ...fields.map((pair) => pair.join('='))].join(' ')
}

async function speak(t: TestContext, dialect: Dialect) {
  const asked: string[] = []
  const shown: (string | undefined)[] = []
  const named = (text: string) => text.replaceAll('HOST', server.host)
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (/\/(?:token|auth)\b/.test(request.url ?? '')) {
      asked.push(await question(request))
      shown.push(request.headers.authorization)
      return response.end(JSON.stringify(dialect.answer))
    }
    if (request.headers.authorization === dialect.takes) return response.end(MANIFEST)
    return response.writeHead(401, { 'www-authenticate': named(dialect.challenge) }).end()
  }
  const server = await startServer((request, response) => void answer(request, response))
  t.after(() => server.close())
  const client = await openRepository({
    registry: server.host,
    repository: parseRepositoryName('team/app'),
    access: 'pull',
    credentials: async () => dialect.credential,
  })
  return { client, asked, shown, named, server }
}

describe('the token dialects of registries', () => {
  for (const dialect of DIALECTS) {
    it(dialect.name, async (t) => {
      const { client, asked, shown, named } = await speak(t, dialect)
      await client.getManifest('1')
      await client.getManifest('1')
      assert.deepEqual(asked, dialect.asked === undefined ? [] : [named(dialect.asked)])
      if (asked.length > 0) {
        assert.deepEqual(shown, [dialect.shown === undefined ? undefined : basic(dialect.shown)])
      }
    })
  }

  for (const [what, said] of [
    ['a clock that is ahead', { issued_at: '2199-01-01T00:00:00Z', expires_in: 300 }],
    ['a clock that is behind', { issued_at: '1970-01-01T00:00:00Z', expires_in: 60 }],
    ['a token that is over at once', { issued_at: new Date().toISOString(), expires_in: 0 }],
    ['a time before now', { expires_in: -300 }],
    ['no time at all', { issued_at: 'soon', expires_in: 'long' }],
  ] as const) {
    it(`use a token as long as the registry takes it, whatever its server says: ${what}`, async (t) => {
      let [given, valid] = [0, 0]
      const server = await startServer((request, response) => {
        if (request.url?.startsWith('/token')) {
          valid = ++given
          return response.end(JSON.stringify({ token: `t${given}`, ...said }))
        }
        if (request.headers.authorization === `Bearer t${valid}`) return response.end(MANIFEST)
        const challenge = `Bearer realm="http://${server.host}/token"`
        return response.writeHead(401, { 'www-authenticate': challenge }).end()
      })
      t.after(() => server.close())
      const repository = parseRepositoryName('team/app')
      const client = await openRepository({ registry: server.host, repository, access: 'pull' })
      // This machine's clock may be wrong as well, and jump.
      const now = Date.now()
      t.mock.timers.enable({ apis: ['Date'], now })
      for (const at of [now, now + 86_400_000, 0]) {
        t.mock.timers.setTime(at)
        await client.getManifest('1')
      }
      assert.equal(given, 1)
      valid = -1
      await client.getManifest('1')
      assert.equal(given, 2)
    })
  }

  it('get another token when one has run out, whether or not it was said when', async (t) => {
    let valid = 0
    const server = await startServer((request, response) => {
      if (request.url?.startsWith('/token')) {
        valid++
        return response.end(JSON.stringify({ token: `t${valid}` }))
      }
      if (request.headers.authorization === `Bearer t${valid}`) return response.end(MANIFEST)
      const challenge = `Bearer realm="http://${server.host}/token",error="invalid_token"`
      return response.writeHead(401, { 'www-authenticate': challenge }).end()
    })
    t.after(() => server.close())
    const client = await openRepository({
      registry: server.host,
      repository: parseRepositoryName('team/app'),
      access: 'pull',
    })
    await client.getManifest('1')
    valid = 5
    await client.getManifest('1')
    assert.equal(valid, 6)
  })
})

describe('a layer that its manifest says is elsewhere', () => {
  it('is asked of the registry alone', async (t) => {
    const other = await startServer((_request, response) => response.end(MANIFEST))
    const server = await startServer((_request, response) => response.writeHead(404).end())
    t.after(() => Promise.all([other.close(), server.close()]))
    const client = await openRepository({
      registry: server.host,
      repository: parseRepositoryName('team/app'),
      access: 'pull',
    })
    const layer = {
      ...describeBytes(MEDIA_TYPE.ociLayer, MANIFEST),
      urls: [`http://${other.host}`],
    }
    await assert.rejects(client.openBlob(layer, undefined), {
      code: 'REGISTRY_FAILED',
      message: /elsewhere, at a URL that is not followed/,
    })
    assert.deepEqual(other.requests, [])
  })
})
