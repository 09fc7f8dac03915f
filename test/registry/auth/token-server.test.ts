import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SignJWT } from 'jose'
import { libtrustFingerprint } from '#registry/auth/external/key-file.ts'
import { type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'

describe('a registry with a token server of its operator', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dray-token-server-'))
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = libtrustFingerprint(server.publicKey)
  let closed: ClosedRegistry
  before(async () => {
    const keys = join(dir, 'keys.pem')
    const pem = [other, server].map(({ publicKey }) =>
      publicKey.export({ type: 'spki', format: 'pem' }),
    )
    writeFileSync(keys, pem.join(''))
    const tokenServer = { realm: 'https://auth.example/token', service: 's', issuer: 'i', keys }
    const rules = [
      { name: 'all', subjects: ['users'], repositories: ['rules/**'], actions: ['pull', 'list'] },
    ]
    closed = await startClosedRegistry({ rules, auth: { tokenServer } })
  })
  after(async () => {
    await closed.stop()
    rmSync(dir, { recursive: true })
  })

  const tokenOf = (access: unknown, more: object = {}, header: object = {}) =>
    new SignJWT({ iss: 'i', aud: 's', sub: 'carol', access, ...more })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT', ...header })
      .setExpirationTime('5m')
      .sign(server.privateKey)
  const item = (name: string, ...actions: string[]) => ({ type: 'repository', name, actions })

  it('sends its clients there, and issues nothing itself', async () => {
    const { headers } = await closed.as().expect(401, 'GET', '/v2/a/manifests/v1')
    assert.equal(
      headers['www-authenticate'],
      'Bearer realm="https://auth.example/token",service="s",scope="repository:a:pull"',
    )
    await closed.as('alice').expect(405, 'GET', '/token', { code: 'UNSUPPORTED' })
  })

  it('lets its tokens do what they grant, and nothing else', async () => {
    const client = closed.bearing(await tokenOf([item('a', 'push', 'pull'), item('b', '*')]))
    await client.expect(200, 'GET', '/v2/')
    await client.pushImage('a', 'v1', 'x')
    await client.pushImage('a', 'v1', 'y')
    await client.pushImage('b', 'v1', 'x')
    await client.expect(202, 'DELETE', '/v2/b/manifests/v1')
    const refused = await client.expect(401, 'DELETE', '/v2/a/manifests/v1')
    assert.match(refused.headers['www-authenticate'] ?? '', /insufficient_scope/)
    await client.expect(401, 'GET', '/v2/rules/a/tags/list')
    await client.expect(401, 'GET', '/v2/_catalog')
  })

  it('lists everything to tokens for the catalog', async () => {
    const token = await tokenOf([{ type: 'registry', name: 'catalog', actions: ['*'] }])
    const { body } = await closed.bearing(token).expect(200, 'GET', '/v2/_catalog')
    assert.deepEqual(JSON.parse(String(body)).repositories, ['a', 'b'])
  })

  it('takes grants that it does not know for none', async () => {
    for (const access of [
      null,
      [],
      [item('*', '*')],
      [item('../a', 'pull')],
      [item('a', 'PULL', 'admin')],
      [{ ...item('a', 'pull'), type: 'repository(plugin)' }],
    ]) {
      await closed.bearing(await tokenOf(access)).expect(401, 'GET', '/v2/a/tags/list')
    }
  })

  it('refuses tokens that are not of its token server, or not for it', async () => {
    const access = [item('a', 'pull')]
    for (const token of [
      await tokenOf(access, { iss: 'dray' }),
      await tokenOf(access, { aud: 'dray' }),
      await tokenOf(access, {}, { kid: libtrustFingerprint(other.publicKey) }),
      await tokenOf(access, {}, { kid: undefined }),
      await tokenOf(access, {}, { kid: 'x', jwk: server.publicKey.export({ format: 'jwk' }) }),
      await tokenOf('all'),
    ]) {
      await closed.bearing(token).expect(401, 'GET', '/v2/a/tags/list', { code: 'UNAUTHORIZED' })
      await closed.as('x', token).expect(401, 'GET', '/v2/a/tags/list')
    }
  })
})
