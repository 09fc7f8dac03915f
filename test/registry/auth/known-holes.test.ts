/** Holes that registries have had: each test would have found one of them. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseConfig } from '#registry/index.ts'
import { imageManifest, type RegistryClient } from '../../contract/registry/fixture.ts'
import { type ClosedRegistry, startClosedRegistry } from '../../support/closed-registry.ts'

const rule = (user: string, repositories: string, ...actions: string[]) => ({
  ...{ name: `${user} ${repositories}`, subjects: [user], repositories: [repositories], actions },
})
const RULES = [
  rule('user:alice', '**', 'pull', 'push', 'overwrite', 'delete', 'list'),
  rule('user:bob', 'bob/**', 'pull', 'push', 'list'),
  rule('group:dev', 'dev/**', 'pull'),
]

describe('a registry', () => {
  let closed: ClosedRegistry
  let alice: RegistryClient
  let bob: RegistryClient
  before(async () => {
    closed = await startClosedRegistry({ rules: RULES, auth: { groups: { dev: ['bob'] } } })
    alice = closed.as('alice')
    bob = closed.as('bob')
  })
  after(() => closed.stop())

  it('reads no endless manifest (CVE-2017-11468)', async () => {
    let sent = 0
    async function* endless() {
      for (; sent < 100; sent++) yield Buffer.alloc(1_000_000, ' ')
    }
    const { status } = await bob
      .send('PUT', '/v2/bob/a/manifests/1', { body: endless() })
      .catch(() => ({ status: 413 }))
    assert.equal(status, 413)
    assert.ok(sent < 100)
  })

  it('takes nothing for a manifest and an index at once (CVE-2021-41190)', async () => {
    await bob.pushImage('bob/a', '1', 'x')
    for (const mediaType of [MEDIA_TYPE.ociManifest, MEDIA_TYPE.ociIndex]) {
      const body = Buffer.from(JSON.stringify({ ...imageManifest('x'), mediaType, manifests: [] }))
      const headers = { 'content-type': mediaType }
      await bob.expect(400, 'PUT', '/v2/bob/a/manifests/2', { body, headers })
    }
    const body = Buffer.from(JSON.stringify(imageManifest('x')))
    const headers = { 'content-type': MEDIA_TYPE.ociIndex }
    await bob.expect(400, 'PUT', '/v2/bob/a/manifests/2', { body, headers })
  })

  it('sets no memory aside for the page that a client asks for (CVE-2023-2253)', async () => {
    const before = process.memoryUsage().rss
    for (const n of ['2147483647', '9007199254740993', '1'.repeat(300)]) {
      await bob.expect(200, 'GET', `/v2/_catalog?n=${n}`)
    }
    assert.ok(process.memoryUsage().rss - before < 100_000_000)
  })

  it('shows no blob of another repository, though it stores it once (CVE-2024-39897)', async () => {
    const layer = await alice.pushBlob('secret', 'a layer of a secret image')
    await bob.expect(404, 'GET', `/v2/bob/a/blobs/${layer}`)
    await bob.expect(404, 'HEAD', `/v2/bob/a/blobs/${layer}`)
    for (const query of [`mount=${layer}&from=secret`, `mount=${layer}`]) {
      await bob.expect(202, 'POST', `/v2/bob/a/blobs/uploads/?${query}`)
      await bob.expect(404, 'HEAD', `/v2/bob/a/blobs/${layer}`)
    }
    const manifest = JSON.stringify({
      ...imageManifest('x'),
      layers: [{ mediaType: MEDIA_TYPE.ociLayerGzip, digest: layer, size: 25 }],
    })
    const headers = { 'content-type': MEDIA_TYPE.ociManifest }
    await bob.expect(404, 'PUT', '/v2/bob/a/manifests/3', { body: manifest, headers })
  })

  it('takes groups away that somebody has lost (CVE-2025-23208)', async () => {
    const { body } = await bob.expect(200, 'GET', '/token?scope=repository:dev/a:pull')
    const bearer = closed.bearing(JSON.parse(body.toString()).token)
    for (const client of [bob, bearer]) await client.expect(404, 'GET', '/v2/dev/a/tags/list')
    const auth = { htpasswd: closed.htpasswd, rules: RULES, groups: { dev: ['carol'] } }
    closed.registry.reload(parseConfig({ env: {}, flags: { auth } as never }))
    for (const client of [bob, bearer]) await client.expect(403, 'GET', '/v2/dev/a/tags/list')
  })

  it('lets nobody overwrite latest who may not overwrite (CVE-2026-31801)', async () => {
    await bob.pushImage('bob/b', 'latest', 'first')
    const layer = await bob.pushImage('bob/b', undefined, 'second')
    const headers = { 'content-type': MEDIA_TYPE.ociManifest }
    const body = layer.bytes
    const code = 'DENIED'
    for (const path of [
      'latest',
      `${layer.digest}?tag=latest`,
      `${layer.digest}?tag=new&tag=latest`,
    ]) {
      await bob.expect(403, 'PUT', `/v2/bob/b/manifests/${path}`, { body, headers, code })
    }
    await bob.expect(404, 'HEAD', '/v2/bob/b/manifests/new')
  })

  it('revives no deleted blob through a repository that has it, too (CVE-2026-35172)', async () => {
    const layer = await alice.pushBlob('one', 'shared layer')
    await alice.pushBlob('two', 'shared layer')
    await alice.expect(200, 'GET', `/v2/one/blobs/${layer}`)
    await alice.expect(202, 'DELETE', `/v2/one/blobs/${layer}`)
    await alice.expect(200, 'GET', `/v2/two/blobs/${layer}`)
    await alice.expect(404, 'GET', `/v2/one/blobs/${layer}`)
    await alice.expect(404, 'HEAD', `/v2/one/blobs/${layer}`)
  })

  it('deletes nothing for who may push, in whichever way (CVE-2026-41888, GHSA-qg67-7m6v-qg25)', async () => {
    const { digest, layer } = await bob.pushImage('bob/c', '1', 'x')
    const { body } = await bob.expect(200, 'GET', '/token?scope=repository:bob/c:*')
    const bearer = closed.bearing(JSON.parse(body.toString()).token)
    for (const path of ['manifests/1', `manifests/${digest}`, `blobs/${layer}`]) {
      await bob.expect(403, 'DELETE', `/v2/bob/c/${path}`, { code: 'DENIED' })
      await bearer.expect(403, 'DELETE', `/v2/bob/c/${path}`, { code: 'DENIED' })
    }
    const push = await alice.expect(200, 'GET', '/token?scope=repository:bob/c:pull,push')
    const pusher = closed.bearing(JSON.parse(push.body.toString()).token)
    await pusher.expect(401, 'DELETE', '/v2/bob/c/manifests/1')
  })

  it('keeps an upload to its user and its repository (CVE-2026-32589)', async () => {
    const location = await bob.startUpload('bob/d')
    for (const [client, path] of [
      [alice, location],
      [bob, location.replace('bob/d', 'bob/e')],
    ] as const) {
      for (const method of ['GET', 'PATCH', 'DELETE']) await client.expect(404, method, path)
      await client.expect(404, 'PUT', `${path}?digest=${digestOf('')}`)
    }
    await bob.expect(204, 'GET', location)
  })

  it('sends nobody to another host, and lets no page of one read its answers', async () => {
    for (const path of [
      '//evil.example/v2/',
      '/\\evil.example/v2/',
      '//evil.example/%2f..',
      '/v2//',
    ]) {
      const { status, headers } = await bob.send('GET', path)
      assert.ok(status >= 400 && headers.location === undefined, path)
    }
    const headers = { origin: 'https://evil.example', host: 'evil.example' }
    const answer = await bob.expect(202, 'POST', '/v2/bob/f/blobs/uploads/', { headers })
    assert.match(answer.headers.location ?? '', /^\/v2\//)
    for (const name of Object.keys(answer.headers)) assert.ok(!name.startsWith('access-control'))
  })
})
