import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

const IMMUTABLE = { 'fixed/**': ['v*', 'release-*.*'], only: ['**'] }

/** Registers the tests of tags that are changed under conditions, or never. */
export function testTags(name: string, start: StartRegistry): void {
  describe(`guarded tags of ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start({ immutableTags: IMMUTABLE })
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

    /** The manifest of an index with nothing in it but a number. */
    const numbered = (number: number | string) =>
      Buffer.from(
        JSON.stringify({
          ...{ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] },
          annotations: { number: String(number) },
        }),
      )
    const put = (path: string, number: number | string, headers: Record<string, string> = {}) =>
      client.send('PUT', path, { body: numbered(number), headers })
    const digestAt = async (path: string) =>
      (await client.send('HEAD', path)).headers['docker-content-digest']

    it('creates a tag only if there is none, when asked to', async () => {
      const path = '/v2/create/manifests/v1'
      const before = await registry.contents()
      const created = await put(path, 1, { 'if-none-match': '*' })
      assert.equal(created.status, 201)
      assert.equal(created.headers.etag, `"${digestOf(numbered(1))}"`)
      const after = await registry.contents()
      assert.notDeepEqual(after, before)
      for (const number of [1, 2]) {
        const refused = await put(path, number, { 'if-none-match': '*' })
        assert.equal(refused.status, 412)
        const [error] = JSON.parse(refused.body.toString()).errors
        assert.deepEqual(error.detail, { digest: digestOf(numbered(1)) })
      }
      assert.deepEqual(await registry.contents(), after)
      assert.equal(await digestAt(path), digestOf(numbered(1)))
    })

    it('moves and deletes a tag only from the manifest that the client names', async () => {
      const path = '/v2/move/manifests/v1'
      const match = (number: number) => ({ 'if-match': `"${digestOf(numbered(number))}"` })
      assert.equal((await put(path, 1, match(1))).status, 412)
      assert.equal((await put(path, 1, { 'if-match': '*' })).status, 412)
      assert.equal((await put(path, 1)).status, 201)
      assert.equal((await put(path, 2, match(2))).status, 412)
      assert.equal((await put(path, 2, match(1))).status, 201)
      assert.equal((await put(path, 3, { 'if-match': digestOf(numbered(2)) })).status, 201)
      assert.equal((await put(path, 4, { 'if-match': '*' })).status, 201)
      assert.equal((await put(path, 5, { 'if-match': `"x", ${match(4)['if-match']}` })).status, 201)
      assert.equal((await put(path, 6, { 'if-match': `W/${match(5)['if-match']}` })).status, 412)
      assert.equal((await put(path, 6, { 'if-none-match': match(5)['if-match'] })).status, 412)
      assert.equal((await put(path, 6, { 'if-none-match': match(4)['if-match'] })).status, 201)
      await client.expect(412, 'DELETE', path, { headers: match(5) })
      await client.expect(412, 'DELETE', path, { headers: { 'if-none-match': '*' } })
      await client.expect(202, 'DELETE', path, { headers: match(6) })
      await client.expect(404, 'HEAD', path)
      await client.expect(412, 'DELETE', path, { headers: match(6) })
      assert.equal((await put(path, 7, { 'if-none-match': '*' })).status, 201)
    })

    it('holds every tag that comes as a parameter to the condition', async () => {
      const path = `/v2/several/manifests/${digestOf(numbered(2))}`
      assert.equal((await put('/v2/several/manifests/b', 1)).status, 201)
      const before = await registry.contents()
      const absent = { 'if-none-match': '*' }
      assert.equal((await put(`${path}?tag=a&tag=b`, 2, absent)).status, 412)
      const match = { 'if-match': `"${digestOf(numbered(1))}"` }
      assert.equal((await put(`${path}?tag=a&tag=b`, 2, match)).status, 412)
      assert.deepEqual(await registry.contents(), before)
      assert.equal((await put(`${path}?tag=a&tag=c`, 2, absent)).status, 201)
      assert.equal((await put(`${path}?tag=b`, 2, match)).status, 201)
      assert.equal(await digestAt('/v2/several/manifests/b'), digestOf(numbered(2)))
    })

    it('holds manifests by digest to conditions', async () => {
      const digest = digestOf(numbered(1))
      const path = `/v2/by-digest/manifests/${digest}`
      const match = { 'if-match': `"${digest}"` }
      assert.equal((await put(path, 1, match)).status, 412)
      assert.equal((await put(path, 1, { 'if-none-match': '*' })).status, 201)
      assert.equal((await put(path, 1, { 'if-none-match': '*' })).status, 412)
      await client.expect(200, 'GET', path, { headers: match })
      await client.expect(412, 'GET', path, { headers: { 'if-match': '"other"' } })
      await client.expect(412, 'DELETE', path, { headers: { 'if-match': '"other"' } })
      await client.expect(202, 'DELETE', path, { headers: match })
      await client.expect(412, 'DELETE', path, { headers: match })
    })

    it('refuses conditions that it cannot read', async () => {
      const before = await registry.contents()
      for (const value of ['"unclosed', 'a b', '"a" "b"', '"a",,"b"', ',']) {
        for (const header of ['if-match', 'if-none-match']) {
          const refused = await put('/v2/unread/manifests/v1', 1, { [header]: value })
          assert.equal(refused.status, 400, `${header}: ${value}`)
        }
      }
      assert.deepEqual(await registry.contents(), before)
    })

    it('lets one of many create a tag, over all replicas', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          put('/v2/race/manifests/v1', n, { 'if-none-match': '*' }),
        ),
      )
      const winners = [...answers.keys()].filter((n) => answers[n]?.status === 201)
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [
        201,
        ...Array(19).fill(412),
      ])
      assert.equal(await digestAt('/v2/race/manifests/v1'), digestOf(numbered(winners[0] ?? -1)))
    })

    it('loses no change of clients that read, change and write back under a condition', async () => {
      const path = '/v2/counter/manifests/count'
      assert.equal((await put(path, 0)).status, 201)
      const count = async () => {
        for (;;) {
          const { headers, body } = await client.expect(200, 'GET', path)
          const next = Number(JSON.parse(body.toString()).annotations.number) + 1
          const { status } = await put(path, next, { 'if-match': headers.etag ?? '' })
          if (status === 201) return
          assert.equal(status, 412)
        }
      }
      await Promise.all(Array.from({ length: 8 }, count))
      assert.equal(await digestAt(path), digestOf(numbered(8)))
    })

    it('never changes an immutable tag, whatever asks for it', async () => {
      const refused = (method: string, path: string, number?: number) =>
        client.expect(405, method, path, {
          code: 'UNSUPPORTED',
          ...(number === undefined ? {} : { body: numbered(number) }),
        })
      const digest = digestOf(numbered(1))
      const other = digestOf(numbered(2))
      for (const [repository, tag] of [
        ['fixed/app', 'v1'],
        ['fixed/a/b', 'release-1.0'],
        ['only', 'any'],
      ]) {
        const manifests = `/v2/${repository}/manifests`
        for (let i = 0; i < 2; i++) assert.equal((await put(`${manifests}/${tag}`, 1)).status, 201)
        assert.equal((await put(`${manifests}/${digest}?tag=${tag}`, 1)).status, 201)
        assert.equal((await put(`${manifests}/${other}`, 2)).status, 201)
        const before = await registry.contents()
        await refused('PUT', `${manifests}/${tag}`, 2)
        await refused('PUT', `${manifests}/${other}?tag=new&tag=${tag}`, 2)
        await refused('DELETE', `${manifests}/${tag}`)
        const { headers } = await refused('DELETE', `${manifests}/${digest}`)
        assert.equal(headers.allow, 'GET, HEAD')
        assert.deepEqual(await registry.contents(), before)
        assert.equal(await digestAt(`${manifests}/${tag}`), digest)
        await client.expect(404, 'DELETE', `${manifests}/v-none`, { code: 'MANIFEST_UNKNOWN' })
        await client.expect(202, 'DELETE', `${manifests}/${other}`)
      }
      const match = { 'if-match': `"${digest}"` }
      assert.equal((await put('/v2/fixed/app/manifests/v1', 2, match)).status, 405)
    })

    it('changes tags that only look like immutable ones', async () => {
      for (const path of [
        '/v2/fixed/manifests/v1',
        '/v2/not/fixed/manifests/v1',
        '/v2/fixed/app/manifests/latest',
        '/v2/fixed/app/manifests/release-x',
      ]) {
        for (const number of [1, 2]) assert.equal((await put(path, number)).status, 201, path)
        await client.expect(202, 'DELETE', path)
      }
    })

    it('lets one of many give an immutable tag, over all replicas', async () => {
      const path = '/v2/fixed/race/manifests/v1'
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => put(path, n)))
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [
        201,
        ...Array(19).fill(405),
      ])
      const winner = answers.findIndex(({ status }) => status === 201)
      assert.equal((await digestAt(path)) as Digest, digestOf(numbered(winner)))
    })
  })
}
