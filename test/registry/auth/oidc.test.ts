import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeJwt } from 'jose'
import { createRemoteKeys } from '#registry/auth/external/remote-keys.ts'
import { parseConfig } from '#registry/index.ts'
import type { RegistryClient } from '../../contract/registry/fixture.ts'
import { type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'
import { type OidcIssuer, startOidcIssuer } from '../../support/oidc-issuer.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const JOB = {
  sub: 'repo:acme/app:ref:refs/heads/main',
  repository: 'acme/app',
  ref: 'refs/heads/main',
  teams: ['release', 7],
}

describe('a workload with a token of its platform', () => {
  let platform: OidcIssuer
  let other: OidcIssuer
  let closed: ClosedRegistry
  before(async () => {
    platform = await startOidcIssuer()
    other = await startOidcIssuer('ES256')
    const claims = { repository: 'acme/*', ref: 'refs/heads/main' }
    const rules = [
      {
        name: 'ci',
        subjects: [{ issuer: 'ci', claims }],
        repositories: ['acme/**'],
        actions: ['pull', 'push'],
      },
      { name: 'release', subjects: ['group:ci:release'], repositories: ['**'], actions: ['list'] },
      { name: 'alice', subjects: ['user:alice'], repositories: ['**'], actions: ['pull'] },
    ]
    const issuers = [
      { name: 'ci', issuer: platform.url, audience: 'registry', groupsClaim: 'teams' },
      { name: 'cluster', issuer: other.url, audience: 'registry' },
    ]
    closed = await startClosedRegistry({ rules, auth: { issuers } })
  })
  after(async () => {
    await closed.stop()
    platform.stop()
    other.stop()
  })

  const exchange = async (client: RegistryClient, scope: string, token?: string) => {
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token ?? '',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    }
    const body = new URLSearchParams({ ...form, scope, access_type: 'offline' }).toString()
    const answer =
      token === undefined
        ? await client.expect(200, 'GET', `/token?scope=${scope}&offline_token=true`)
        : await client.expect(200, 'POST', '/token', { body, headers: FORM })
    return JSON.parse(String(answer.body)) as { token: string; refresh_token?: string }
  }

  it('gets a token for what its claims allow, in each way that clients have to show theirs', async () => {
    const token = await platform.token(JOB)
    const scope = 'repository:acme/app:pull,push,delete'
    for (const issued of [
      await exchange(closed.as('anything', token), scope),
      await exchange(closed.bearing(token), scope),
      await exchange(closed.as(), scope, token),
    ]) {
      const { sub, access, dray } = decodeJwt(issued.token)
      assert.equal(sub, `ci:${JOB.sub}`)
      assert.deepEqual(access, [
        { type: 'repository', name: 'acme/app', actions: ['pull', 'push'] },
      ])
      const { repository, ref } = JOB
      assert.deepEqual(dray, { groups: ['ci:release'], issuer: 'ci', claims: { repository, ref } })
      assert.equal(issued.refresh_token, undefined)
      await closed.bearing(issued.token).pushImage('acme/app', undefined, 'x')
      await closed.bearing(issued.token).expect(401, 'GET', '/v2/acme/other/tags/list')
    }
  })

  it('pushes only where its claims allow', async () => {
    const cases: readonly (readonly [object, string, number])[] = [
      [JOB, 'acme/new', 202],
      [JOB, 'other/new', 403],
      [{ ...JOB, repository: 'evil/app' }, 'acme/new', 403],
      [{ ...JOB, repository: undefined }, 'acme/new', 403],
      [{ ...JOB, ref: 'refs/heads/feature' }, 'acme/new', 403],
      [{ ...JOB, ref: 'refs/pull/1/merge' }, 'acme/new', 403],
      [{ ...JOB, repository: ['evil/app', 'x'] }, 'acme/new', 403],
    ]
    for (const [claims, name, status] of cases) {
      const client = closed.as('ci', await platform.token(claims))
      await client.expect(status, 'POST', `/v2/${name}/blobs/uploads/`)
    }
  })

  it('is nobody whom another issuer, or the htpasswd file, names so', async () => {
    const sameClaims = await other.token(JOB)
    await closed.as('x', sameClaims).expect(403, 'POST', '/v2/acme/new/blobs/uploads/')
    const alice = await platform.token({ sub: 'alice' })
    await closed.as('alice', alice).expect(403, 'GET', '/v2/acme/app/tags/list')
    await closed.as('alice').expect(200, 'GET', '/v2/_catalog')
  })

  it('is in the groups that its issuer names', async () => {
    const list = async (claims: object) =>
      (await closed.as('x', await platform.token(claims)).expect(200, 'GET', '/v2/_catalog')).body
    assert.match(String(await list(JOB)), /acme\/app/)
    assert.match(String(await list({ ...JOB, teams: 'dev' })), /"repositories":\[\]/)
  })

  const soon = Math.floor(Date.now() / 1000)
  const refused: Readonly<Record<string, () => Promise<string>>> = {
    'another audience': () => platform.token({ aud: 'other' }),
    'no audience': () => platform.token({ aud: undefined }),
    'an issuer that is not configured': () => platform.token({ iss: 'https://evil.example' }),
    'the address of its issuer with a slash': () => platform.token({ iss: `${platform.url}/` }),
    'the name of another issuer': () => platform.token({ iss: other.url }),
    'a time at which it has ended': () => platform.token({ exp: soon - 60 }),
    'a time at which it begins': () => platform.token({ nbf: soon + 600 }),
    'no subject': () => platform.token({ sub: undefined }),
    'a subject that is empty': () => platform.token({ sub: '' }),
    'a subject of more than a line': () => platform.token({ sub: 'a\nb' }),
    'a subject that is too long': () => platform.token({ sub: 'a'.repeat(1001) }),
    'a key that nobody knows': () => platform.token({}, { kid: 'x' }),
  }
  for (const [what, make] of Object.entries(refused)) {
    it(`is refused with ${what}`, async () => {
      const token = await make()
      await closed.as('x', token).expect(401, 'GET', '/v2/', { code: 'UNAUTHORIZED' })
      await closed.bearing(token).expect(401, 'GET', '/v2/', { code: 'UNAUTHORIZED' })
      await closed.bearing(token).expect(401, 'GET', '/token', { code: 'UNAUTHORIZED' })
      assert.ok(!JSON.stringify(closed.lines).includes(token))
    })
  }

  it('cannot show a token of the registry as a password', async () => {
    const { token } = await exchange(closed.as('x', await platform.token(JOB)), '')
    await closed.as('alice', token).expect(401, 'GET', '/v2/')
  })

  it('waits for an issuer that does not answer', async () => {
    const silent = await startOidcIssuer()
    const token = await silent.token(JOB)
    const issuers = [{ name: 'ci', issuer: silent.url, audience: 'registry' }]
    const waiting = await startClosedRegistry({ rules: [], auth: { issuers } })
    const keys = silent.answers['/keys']
    silent.answers['/keys'] = undefined
    const answer = await waiting.as('x', token).expect(503, 'GET', '/v2/')
    assert.equal(answer.headers['retry-after'], '1')
    assert.ok(!String(answer.body).includes(silent.url), 'where its keys are is for the log')
    assert.ok(JSON.stringify(waiting.lines).includes(`${silent.url}/keys`))
    silent.answers['/keys'] = keys
    await waiting.as('x', token).expect(200, 'GET', '/v2/')
    await waiting.stop()
    silent.stop()
  })
})

describe('the keys of an issuer', () => {
  let issuer: OidcIssuer
  let time = 0
  before(async () => {
    issuer = await startOidcIssuer()
  })
  after(() => issuer.stop())
  const open = (more: object = {}) =>
    createRemoteKeys({ issuer: issuer.url, now: () => time, ...more })
  const header = (kid: string) => ({ alg: 'RS256', kid }) as never

  it('are read once for many tokens, and again when a new key is used', async () => {
    const keys = open()
    issuer.asked.length = 0
    await Promise.all([1, 2, 3].map(() => keys(header('1'), {} as never)))
    assert.deepEqual(issuer.asked, ['/.well-known/openid-configuration', '/keys'])
    await issuer.rotate()
    await assert.rejects(async () => keys(header('2'), {} as never), 'it has looked a moment ago')
    for (let i = 0; i < 20; i++) await assert.rejects(async () => keys(header('x'), {} as never))
    assert.equal(issuer.asked.length, 2, 'unknown keys are no reason to ask again and again')
    time += 31_000
    await keys(header('2'), {} as never)
    assert.equal(issuer.asked.length, 4)
  })

  it('stay in use while the issuer does not answer', async () => {
    const keys = open()
    const known = issuer.answers['/keys']
    await keys(header('2'), {} as never)
    issuer.answers['/keys'] = undefined
    time += 3_600_000
    await keys(header('2'), {} as never)
    issuer.answers['/keys'] = known
  })

  const wrong: Readonly<Record<string, () => unknown>> = {
    'are those of another issuer': () => ({ issuer: 'https://x', jwks_uri: `${issuer.url}/keys` }),
    'lie nowhere': () => ({ issuer: issuer.url }),
    'are not JSON': () => '<html>',
    'come in more than 256 KiB': () => ({ issuer: issuer.url, filler: 'x'.repeat(300_000) }),
    'are not there': () => undefined,
  }
  for (const [what, answer] of Object.entries(wrong)) {
    it(`are not used when they ${what}`, async () => {
      const path = '/.well-known/openid-configuration'
      const good = issuer.answers[path]
      issuer.answers[path] = answer
      await assert.rejects(async () => open()(header('2'), {} as never))
      issuer.answers[path] = good
      await open()(header('2'), {} as never)
    })
  }
})

describe('the issuers of a configuration', () => {
  const good = { name: 'ci', issuer: 'https://ci.example', audience: 'r' }
  const parse = (issuers: unknown) =>
    parseConfig({ env: {}, flags: { auth: { issuers } } as never })

  it('may be any that speak TLS, or whose keys lie in a file', () => {
    parse([good, { name: 'k8s', issuer: 'kubernetes', audience: 'r', keys: '/keys.json' }])
    parse([{ ...good, jwksUrl: 'https://elsewhere.example/keys' }])
  })

  const refused: Readonly<Record<string, unknown[]>> = {
    'an address without TLS': [{ ...good, issuer: 'http://ci.example' }],
    'keys at an address without TLS': [{ ...good, jwksUrl: 'http://ci.example/keys' }],
    'keys in two places': [{ ...good, jwksUrl: 'https://ci.example/keys', keys: '/keys' }],
    'a name for two': [good, { ...good, issuer: 'https://other.example' }],
    'an address for two': [good, { ...good, name: 'other' }],
    'the address of the registry': [{ ...good, issuer: 'dray', keys: '/keys' }],
    'the name of another source': [{ ...good, name: 'cert' }],
    'a name with a colon': [{ ...good, name: 'a:b' }],
    'a symmetric algorithm': [{ ...good, algorithms: ['HS256'] }],
    'no algorithm': [{ ...good, algorithms: ['none'] }],
    'no audience': [{ name: 'ci', issuer: 'https://ci.example' }],
  }
  for (const [what, issuers] of Object.entries(refused)) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => parse(issuers), { code: 'CONFIG_INVALID' })
    })
  }
})
