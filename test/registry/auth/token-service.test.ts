import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { parseConfig } from '#registry/index.ts'
import type { RegistryClient } from '../../contract/registry/fixture.ts'
import {
  type ClosedRegistry,
  htpasswdOf,
  inMemory,
  startClosedRegistry,
} from '../../support/closed-registry.ts'

const ALL = ['pull', 'push', 'overwrite', 'delete', 'list']
const RULES = [
  { name: 'alice', subjects: ['user:alice'], repositories: ['alice/**'], actions: ALL },
  { name: 'bob', subjects: ['user:bob'], repositories: ['alice/app'], actions: ['pull'] },
  { name: 'public', subjects: ['anyone'], repositories: ['public/**'], actions: ['pull'] },
]
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

interface Tokens {
  readonly token: string
  readonly access_token: string
  readonly refresh_token?: string
  readonly expires_in: number
  readonly issued_at: string
}

const get = async (client: RegistryClient, query = ''): Promise<Tokens> =>
  JSON.parse(String((await client.expect(200, 'GET', `/token?${query}`)).body))

const post = async (client: RegistryClient, form: Record<string, string>): Promise<Tokens> => {
  const body = new URLSearchParams(form).toString()
  const answer = await client.expect(200, 'POST', '/token', { body, headers: FORM })
  assert.equal(answer.headers['cache-control'], 'no-store')
  return JSON.parse(String(answer.body))
}

const accessOf = ({ token }: Tokens) =>
  (decodeJwt(token).access as { name: string; actions: string[] }[]).map(
    ({ name, actions }) => `${name}:${actions}`,
  )

describe('the token service', () => {
  let closed: ClosedRegistry
  const storage = inMemory()
  before(async () => {
    closed = await startClosedRegistry({ rules: RULES, storage })
    await closed.as('alice').pushImage('alice/app', 'v1', 'a')
  })
  after(() => closed.stop())

  it('is named by the challenge, with what the request would have needed', async () => {
    const challenges: Readonly<Record<string, [string, string, string | undefined]>> = {
      version: ['GET', '/v2/', undefined],
      catalog: ['GET', '/v2/_catalog', 'registry:catalog:*'],
      pull: ['GET', '/v2/alice/app/manifests/v1', 'repository:alice/app:pull'],
      push: ['PUT', '/v2/alice/app/manifests/v1', 'repository:alice/app:pull,push'],
      delete: ['DELETE', '/v2/alice/app/manifests/v1', 'repository:alice/app:delete'],
      mount: [
        'POST',
        '/v2/alice/app/blobs/uploads/?mount=x&from=alice/base',
        'repository:alice/app:pull,push repository:alice/base:pull',
      ],
    }
    for (const [method, path, scope] of Object.values(challenges)) {
      const { headers } = await closed.as().expect(401, method, path, { code: 'UNAUTHORIZED' })
      const { port } = closed.registry
      const expected = `Bearer realm="http://127.0.0.1:${port}/token",service="dray"`
      assert.equal(
        headers['www-authenticate'],
        scope === undefined ? expected : `${expected},scope="${scope}"`,
      )
    }
  })

  it('lets no client write into the challenge', async () => {
    for (const host of ['a"b', 'a b', 'a/b']) {
      const { status, headers } = await closed.as().send('GET', '/v2/', { headers: { host } })
      assert.equal(status, 400, host)
      assert.equal(headers['www-authenticate'], undefined)
    }
  })

  it('issues what is asked for as far as the rules allow it', async () => {
    const query = 'service=dray&scope=repository:alice/app:pull,push,delete&scope=repository:x:pull'
    assert.deepEqual(accessOf(await get(closed.as('alice'), query)), ['alice/app:pull,push,delete'])
    assert.deepEqual(accessOf(await get(closed.as('bob'), query)), ['alice/app:pull'])
    assert.deepEqual(accessOf(await get(closed.as(), query)), [])
    assert.deepEqual(accessOf(await get(closed.as(), 'scope=repository:public/a:*')), [
      'public/a:pull',
    ])
    assert.deepEqual(accessOf(await get(closed.as('alice'), 'scope=registry:catalog:*')), [
      'catalog:*',
    ])
    assert.deepEqual(accessOf(await get(closed.as('bob'), 'scope=registry:catalog:*')), [])
  })

  it('issues tokens with which one pulls and pushes', async () => {
    const { token, access_token, expires_in, issued_at } = await get(
      closed.as('alice'),
      'scope=repository:alice/new:pull,push',
    )
    assert.equal(access_token, token)
    assert.equal(expires_in, 300)
    assert.ok(Math.abs(Date.parse(issued_at) - Date.now()) < 60_000)
    const client = closed.bearing(token)
    await client.expect(200, 'GET', '/v2/')
    await client.pushImage('alice/new', 'latest', 'x')
    await client.pushImage('alice/new', 'latest', 'y')
    await client.expect(200, 'GET', '/v2/alice/new/manifests/latest')
    await client.expect(401, 'DELETE', '/v2/alice/new/manifests/latest')
    await client.expect(401, 'GET', '/v2/alice/app/manifests/v1')
  })

  it('issues tokens to anybody, for what anybody may', async () => {
    const { token } = await get(closed.as(), 'scope=repository:public/app:pull')
    await closed.bearing(token).expect(404, 'GET', '/v2/public/app/manifests/v1')
    const answer = await closed.bearing(token).expect(401, 'GET', '/v2/alice/app/manifests/v1')
    assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/)
    await closed.bearing(token).expect(401, 'PUT', '/v2/public/app/manifests/v1')
  })

  it('takes names and passwords, and tokens to log in with, in forms', async () => {
    const scope = 'repository:alice/app:pull'
    const user = { username: 'alice', password: 'alice-secret', client_id: 'test' }
    const password = { grant_type: 'password', ...user, scope, service: 'dray' }
    const plain = await post(closed.as(), password)
    assert.equal(plain.refresh_token, undefined)
    const { refresh_token = '' } = await post(closed.as(), { ...password, access_type: 'offline' })
    const again = await post(closed.as(), { grant_type: 'refresh_token', refresh_token, scope })
    assert.deepEqual(accessOf(again), ['alice/app:pull'])
    await closed.bearing(again.token).expect(200, 'GET', '/v2/alice/app/manifests/v1')
  })

  it('gives a token to log in with to users only', async () => {
    const { refresh_token } = await get(closed.as('alice'), 'offline_token=true&account=alice')
    assert.equal(typeof refresh_token, 'string')
    assert.equal((await get(closed.as(), 'offline_token=true')).refresh_token, undefined)
    await closed.bearing(refresh_token ?? '').expect(401, 'GET', '/v2/alice/app/manifests/v1')
  })

  it('refuses what it does not understand', async () => {
    const client = closed.as('alice')
    const code = 'UNSUPPORTED'
    for (const query of [
      'scope=repository:alice/app:pull&scope=repository:../x:pull',
      'scope=*',
      'service=other',
      'service=dray&service=other',
      'offline_token=true&offline_token=false',
    ]) {
      await client.expect(400, 'GET', `/token?${query}`, { code })
    }
    for (const body of [
      '',
      'grant_type=client_credentials',
      'grant_type=password&username=a&username=b',
    ]) {
      await client.expect(400, 'POST', '/token', { body, headers: FORM, code })
    }
    const headers = { 'content-type': 'application/json' }
    await client.expect(400, 'POST', '/token', { body: '{}', headers, code })
    for (const method of ['PUT', 'DELETE', 'PATCH']) await client.expect(405, method, '/token')
  })

  it('refuses wrong passwords, and counts them', async () => {
    const answer = await closed.as('alice', 'no').expect(401, 'GET', '/token')
    assert.match(answer.headers['www-authenticate'] ?? '', /^Basic /)
    const form = { grant_type: 'password', username: 'carol', password: 'no' }
    const body = new URLSearchParams(form).toString()
    for (let i = 0; i < 6; i++) {
      await closed.as().expect(401, 'POST', '/token', { body, headers: FORM })
    }
    await closed.as().expect(429, 'POST', '/token', { body, headers: FORM })
  })

  it('publishes keys by which others can check its tokens', async () => {
    const { body } = await closed.as().expect(200, 'GET', '/.well-known/jwks.json')
    const jwks = JSON.parse(body.toString())
    assert.ok(!body.includes('"d"'))
    const { token } = await get(closed.as('alice'))
    const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), { issuer: 'dray' })
    assert.equal(payload.sub, 'alice')
  })

  it('takes tokens that another replica has issued', async () => {
    const other = await startClosedRegistry({ rules: RULES, storage: { ...storage } })
    const { token } = await get(other.as('alice'), 'scope=repository:alice/app:pull')
    await closed.bearing(token).expect(200, 'GET', '/v2/alice/app/manifests/v1')
    // The storage is shared, and stays open.
    await other.registry.close()
  })

  it('ends tokens with the rule that they rest on', async () => {
    const scope = 'scope=repository:alice/app:pull'
    const { token } = await get(closed.as('bob'), scope)
    await closed.bearing(token).expect(200, 'GET', '/v2/alice/app/manifests/v1')
    const flags = { auth: { htpasswd: closed.htpasswd, rules: RULES.slice(0, 1) } } as never
    closed.registry.reload(parseConfig({ env: {}, flags }))
    await closed.bearing(token).expect(403, 'GET', '/v2/alice/app/manifests/v1')
  })

  it('ends tokens to log in with when the password changes or the user goes', async () => {
    const { refresh_token = '' } = await get(closed.as('alice'), 'offline_token=true')
    const form = { grant_type: 'refresh_token', refresh_token }
    await post(closed.as(), form)
    const reload = (users: Record<string, string>) => {
      writeFileSync(closed.htpasswd, htpasswdOf(users))
      const flags = { auth: { htpasswd: closed.htpasswd, rules: RULES } } as never
      closed.registry.reload(parseConfig({ env: {}, flags }))
    }
    const body = new URLSearchParams(form).toString()
    for (const users of [{ alice: 'another' }, { bob: 'bob-secret' }]) {
      reload(users)
      await closed.as().expect(401, 'POST', '/token', { body, headers: FORM })
    }
  })
})

describe('a registry that asks for passwords alone', () => {
  it('issues no tokens', async () => {
    const closed = await startClosedRegistry({ rules: RULES, auth: { challenge: 'basic' } })
    const { headers } = await closed.as().expect(401, 'GET', '/v2/')
    assert.match(headers['www-authenticate'] ?? '', /^Basic realm=/)
    await closed.as('alice').expect(405, 'GET', '/token', { code: 'UNSUPPORTED' })
    await closed.as().expect(405, 'GET', '/.well-known/jwks.json')
    await closed.as('alice').pushImage('alice/app', 'v1', 'a')
    await closed.stop()
  })
})

describe('a registry without auth', () => {
  it('issues no tokens', async () => {
    const closed = await startClosedRegistry({ rules: [], config: { auth: undefined } })
    await closed.as().expect(405, 'GET', '/token', { code: 'UNSUPPORTED' })
    await closed.as().expect(200, 'GET', '/v2/')
    await closed.stop()
  })
})
