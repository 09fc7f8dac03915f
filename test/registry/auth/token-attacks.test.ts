import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { calculateJwkThumbprint, exportJWK } from 'jose'
import { type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'

const HOUR = 3600
const now = () => Math.floor(Date.now() / 1000)
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** The registry's own key, which attackers don't have, and one that they have. */
const own = generateKeyPairSync('ed25519')
const foreign = generateKeyPairSync('ed25519')
const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

const ownJwk = await exportJWK(own.publicKey)
const foreignJwk = await exportJWK(foreign.publicKey)
const kid = await calculateJwkThumbprint(ownJwk)
const foreignKid = await calculateJwkThumbprint(foreignJwk)

const header = { alg: 'EdDSA', kid, typ: 'at+jwt' }
const claims = () => ({
  iss: 'dray',
  aud: 'dray',
  sub: 'alice',
  iat: now(),
  nbf: now(),
  exp: now() + HOUR,
  jti: 'x',
  access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
  dray: { groups: [] },
})

/** Signs whatever it is given. */
function jwt(head: unknown, payload: unknown, key: KeyObject | Buffer | undefined): string {
  const input = `${encode(head)}.${encode(payload)}`
  if (key === undefined) return `${input}.`
  if (Buffer.isBuffer(key)) {
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  }
  const isEdwards = key.asymmetricKeyType === 'ed25519'
  const encoding = { key, dsaEncoding: 'ieee-p1363' } as const
  return `${input}.${signBytes(isEdwards ? null : 'sha256', Buffer.from(input), encoding).toString('base64url')}`
}

const byOwner = (more: object, head: object = {}) =>
  jwt({ ...header, ...head }, { ...claims(), ...more }, own.privateKey)
const byAttacker = (head: object, key: KeyObject | Buffer | undefined = foreign.privateKey) =>
  jwt({ ...header, ...head }, claims(), key)
const without = (name: string) => jwt(header, { ...claims(), [name]: undefined }, own.privateKey)

const spki = own.publicKey.export({ type: 'spki', format: 'pem' })
const raw = Buffer.from(String(ownJwk.x), 'base64url')

const ATTACKS: Readonly<Record<string, (attacker: string) => string>> = {
  'alg none': () => byAttacker({ alg: 'none' }, undefined),
  'alg none without a key': () => byAttacker({ alg: 'none', kid: undefined }, undefined),
  'alg None': () => byAttacker({ alg: 'None' }, undefined),
  'alg nOnE': () => byAttacker({ alg: 'nOnE' }, undefined),
  'no alg': () => byAttacker({ alg: undefined }),
  'no signature': () => byOwner({}).replace(/[^.]+$/, ''),
  'the signature of another token': () =>
    byOwner({ sub: 'root' }).replace(/[^.]+$/, byOwner({}).split('.')[2] ?? ''),
  'HS256 with the public key in PEM': () => byAttacker({ alg: 'HS256' }, Buffer.from(spki)),
  'HS256 with the bytes of the public key': () => byAttacker({ alg: 'HS256' }, raw),
  'HS256 with the public JWK': () =>
    byAttacker({ alg: 'HS256' }, Buffer.from(JSON.stringify(ownJwk))),
  'HS256 with an empty key': () => byAttacker({ alg: 'HS256' }, Buffer.alloc(0)),
  'another key of the same kind': () => byAttacker({}),
  'another kind of key': () => byAttacker({ alg: 'ES256' }, elliptic.privateKey),
  'RS256 under our kid': () => byAttacker({ alg: 'RS256' }, rsa.privateKey),
  'a key in jwk': () => byAttacker({ jwk: foreignJwk, kid: foreignKid }),
  'a key in jwk under our kid (CVE-2025-24976)': () => byAttacker({ jwk: { ...foreignJwk, kid } }),
  'a key in jwk without a kid': () => byAttacker({ jwk: foreignJwk, kid: undefined }),
  'a key at jku': (url) => byAttacker({ jku: `${url}/jwks.json`, kid: foreignKid }),
  'a key at jku under our kid': (url) => byAttacker({ jku: `${url}/jwks.json` }),
  'a key at x5u': (url) => byAttacker({ x5u: `${url}/cert.pem` }),
  'a key in x5c': () => byAttacker({ x5c: [encode('certificate')] }),
  'a kid that is a path': () => byAttacker({ kid: '../../../../dev/null' }, Buffer.alloc(0)),
  'a kid that is a URL': (url) => byAttacker({ kid: `${url}/jwks.json` }),
  'a kid that is a query': () => byAttacker({ kid: "' OR 1=1 --" }),
  'a kid that is a record': () => byAttacker({ kid: 'token-keys/000000000000' }),
  'a kid that is no text': () => byAttacker({ kid: { toString: kid } }),
  'a kid of the prototype': () => byAttacker({ kid: '__proto__' }),
  'no kid': () => byAttacker({ kid: undefined }, own.privateKey),
  'our kid in another case': () => byAttacker({ kid: kid.toUpperCase() }, own.privateKey),
  'an extension that must be understood': () => byOwner({}, { crit: ['x'], x: 1 }),
  'a payload that is not encoded': () => byOwner({}, { b64: false, crit: ['b64'] }),
  'the type of a token to log in with': () => byOwner({}, { typ: 'dray-refresh+jwt' }),
  'no type': () => byOwner({}, { typ: undefined }),
  'another type': () => byOwner({}, { typ: 'JWT' }),
  'another audience': () => byOwner({ aud: 'other' }),
  'no audience': () => without('aud'),
  'another issuer': () => byOwner({ iss: 'other' }),
  'no issuer': () => without('iss'),
  'an issuer that is a list': () => byOwner({ iss: ['dray'] }),
  'a time at which it begins': () => byOwner({ nbf: now() + 60 }),
  'a time at which it has ended': () => byOwner({ exp: now() - 60 }),
  'an end that is text': () => byOwner({ exp: '9999999999' }),
  'no end': () => without('exp'),
  'no beginning': () => without('nbf'),
  'no subject': () => without('sub'),
  'no access': () => without('access'),
  'access that is no list': () => byOwner({ access: { 'team/app': '*' } }),
  'access to a pattern': () =>
    byOwner({ access: [{ type: 'repository', name: '*', actions: ['*'] }] }),
  'access to a path': () =>
    byOwner({ access: [{ type: 'repository', name: '../team/app', actions: ['pull'] }] }),
  'access with a name that ends a scope': () =>
    byOwner({
      access: [{ type: 'repository', name: 'a:pull repository:team/app', actions: ['pull'] }],
    }),
  'an action that does not exist': () =>
    byOwner({ access: [{ type: 'repository', name: 'team/app', actions: ['root'] }] }),
  'groups that are no list': () => byOwner({ dray: { groups: 'admin' } }),
  'a payload that is no JSON': () => jwt(header, 'alice', own.privateKey),
  'a payload that is a list': () => jwt(header, [claims()], own.privateKey),
  'a header that is no JSON': () => jwt('{', claims(), own.privateKey),
  'four parts': () => `${byOwner({})}.x`,
  'two parts': () => byOwner({}).split('.').slice(0, 2).join('.'),
  padding: () => `${byOwner({})}==`,
  'no token at all': () => 'opaque-words',
  '15 KB of claims': () => byOwner({ aud: 'other', filler: 'x'.repeat(11_000) }),
}

describe('a token', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dray-attacks-'))
  const asked: string[] = []
  let closed: ClosedRegistry
  let attacker: Server
  let attackerUrl: string
  before(async () => {
    const key = join(dir, 'key.pem')
    writeFileSync(key, own.privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const subjects = ['user:alice', 'user:root', 'group:admin']
    const rule = { name: 'team', subjects, repositories: ['**'], actions: ['pull', 'list'] }
    closed = await startClosedRegistry({ rules: [rule], auth: { token: { keys: [key] } } })
    attacker = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.end(JSON.stringify({ keys: [{ ...foreignJwk, kid: foreignKid, alg: 'EdDSA' }] }))
    })
    await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve))
    attackerUrl = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}`
  })
  after(async () => {
    await closed.stop()
    attacker.close()
    rmSync(dir, { recursive: true })
  })

  const path = '/v2/team/app/manifests/v1'

  it('is taken when nothing is wrong with it', async () => {
    await closed.bearing(byOwner({})).expect(404, 'GET', path)
    await closed.bearing(byOwner({ aud: ['other', 'dray'] })).expect(404, 'GET', path)
  })

  for (const [what, make] of Object.entries(ATTACKS)) {
    it(`is refused with ${what}`, async () => {
      const token = make(attackerUrl)
      const client = closed.bearing(token)
      const answer = await client.expect(401, 'GET', path, { code: 'UNAUTHORIZED' })
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer .*error="invalid_token"/)
      assert.ok(!answer.body.includes(token), 'it is not repeated')
      await client.expect(401, 'GET', '/v2/')
      await client.expect(401, 'GET', '/token?scope=repository:team/app:pull')
      const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token })
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      await closed.as().expect(401, 'POST', '/token', { body: String(form), headers })
      assert.deepEqual(asked, [], 'nobody was asked for a key')
      assert.ok(!JSON.stringify(closed.lines).includes(token))
    })
  }

  it('is refused with 100 KB', async () => {
    const token = byOwner({ filler: 'x'.repeat(100_000) })
    const sent = closed.bearing(token).send('GET', path)
    // Node may close the connection before all of it has come.
    const status = await sent.then((answer) => answer.status).catch(() => 431)
    assert.equal(status, 431)
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    await closed.as().expect(413, 'POST', '/token', { body: String(form), headers })
  })

  it('is refused once it has expired, though it was taken before', async (t) => {
    const token = byOwner({})
    await closed.bearing(token).expect(404, 'GET', path)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + (HOUR + 60) * 1000 })
    await closed.bearing(token).expect(401, 'GET', path)
  })

  it('gets no other one: not for more, and not to log in with', async () => {
    const token = byOwner({})
    for (const query of ['scope=repository:secret:pull', 'offline_token=true']) {
      await closed.bearing(token).expect(401, 'GET', `/token?${query}`, { code: 'UNAUTHORIZED' })
    }
  })

  it('allows what it was issued for, as long as the rules do', async () => {
    const access = ['pull', 'push', 'delete']
    const all = [
      { type: 'repository', name: 'team/app', actions: access },
      { type: 'repository', name: 'other', actions: ['pull'] },
    ]
    const client = closed.bearing(byOwner({ access: all }))
    await client.expect(404, 'GET', path)
    await client.expect(404, 'GET', '/v2/other/manifests/v1')
    await client.expect(403, 'DELETE', path, { code: 'DENIED' })
    const { headers } = await client.expect(401, 'GET', '/v2/third/manifests/v1')
    assert.match(
      headers['www-authenticate'] ?? '',
      /scope="repository:third:pull",error="insufficient_scope"$/,
    )
    await client.expect(401, 'GET', '/v2/_catalog')
    const bob = closed.bearing(byOwner({ sub: 'bob', access: all }))
    await bob.expect(403, 'GET', path, { code: 'DENIED' })
    const mallory = closed.bearing(byOwner({ sub: 'mallory', access: all }))
    await mallory.expect(401, 'GET', path, { code: 'UNAUTHORIZED' })
  })
})
