import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import {
  createRegistryClient,
  descriptorOf,
  imageManifest,
  nextPage,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

/** Registers the tests of discovering content of a registry. */
export function testDiscovery(name: string, start: StartRegistry): void {
  describe(`discovering content of ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

    const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] }
    const json = async (path: string) =>
      JSON.parse((await client.expect(200, 'GET', path)).body.toString())

    it('says that it is a registry', async () => {
      for (const path of ['/v2/', '/v2']) {
        const { headers } = await client.expect(200, 'GET', path)
        assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
      }
    })

    it('lists tags in the order of bytes, in pages', async () => {
      const tags = ['0.1.2', '0.1.20', '1', '10', 'A', 'Z', '_x', 'a', 'a-b', 'a.b', 'aa']
      const body = JSON.stringify(index)
      for (const tag of tags.toReversed()) {
        await client.expect(201, 'PUT', `/v2/pages/manifests/${tag}`, { body })
      }
      await client.pushImage('pages/nested', 'not-in-pages', 'pages')
      await client.pushImage('pages-more', 'not-in-pages', 'pages')
      const list = async (query: string) => {
        const answer = await client.expect(200, 'GET', `/v2/pages/tags/list${query}`)
        return { tags: JSON.parse(answer.body.toString()).tags, link: answer.headers.link }
      }
      assert.deepEqual(await list(''), { tags, link: undefined })
      assert.deepEqual(await list('?n=11'), { tags, link: undefined })
      assert.deepEqual(await list(`?n=${'9'.repeat(18)}`), { tags, link: undefined })
      assert.deepEqual(await list('?n=0'), { tags: [], link: undefined })
      assert.deepEqual(await list('?last=Z'), { tags: tags.slice(6), link: undefined })
      assert.deepEqual(await list('?last=0.1.3&n=1'), {
        tags: ['1'],
        link: '</v2/pages/tags/list?n=1&last=1>; rel="next"',
      })
      assert.deepEqual(await list('?last=zz'), { tags: [], link: undefined })
      const seen: string[] = []
      let path: string | undefined = '/v2/pages/tags/list?n=3'
      while (path !== undefined) {
        const answer = await client.expect(200, 'GET', path)
        seen.push(...JSON.parse(answer.body.toString()).tags)
        path = nextPage(answer)
      }
      assert.deepEqual(seen, tags)
      const first = await client.expect(200, 'GET', '/v2/pages/tags/list?n=3')
      await client.expect(202, 'DELETE', '/v2/pages/manifests/1')
      const second = await client.expect(200, 'GET', nextPage(first) ?? '')
      assert.deepEqual(JSON.parse(second.body.toString()).tags, tags.slice(3, 6))
      for (const query of ['n=-1', 'n=abc', 'n=1.5', 'n=1e18', 'n=1&n=2', 'last=%00', 'n=']) {
        await client.expect(400, 'GET', `/v2/pages/tags/list?${query}`)
      }
      await client.expect(404, 'GET', '/v2/nobody/tags/list', { code: 'NAME_UNKNOWN' })
    })

    it('lists repositories in pages', async () => {
      for (const name of ['zz/a', 'zz/a-b', 'zz/a/b']) await client.pushImage(name, 'v1', 'zz')
      const expected = { repositories: ['zz/a', 'zz/a-b', 'zz/a/b'] }
      assert.deepEqual(await json('/v2/_catalog?last=zz'), expected)
      const { headers } = await client.expect(200, 'GET', '/v2/_catalog?last=zz&n=2')
      assert.equal(headers.link, '</v2/_catalog?n=2&last=zz%2Fa-b>; rel="next"')
    })

    it('lists referrers of manifests, also before these are pushed, and filters them', async () => {
      const subject = descriptorOf(MEDIA_TYPE.ociManifest, 'subject to come') as { digest: Digest }
      const path = `/v2/refs/referrers/${subject.digest}`
      const unknown = await client.expect(200, 'GET', path)
      assert.equal(unknown.headers['content-type'], MEDIA_TYPE.ociIndex)
      assert.deepEqual(JSON.parse(unknown.body.toString()), index)
      const annotations = { 'org.example.key': 'value' }
      const sbom = await client.pushImage('refs', undefined, 'sbom', {
        ...{ subject, annotations, artifactType: 'application/x-sbom' },
      })
      const plain = await client.pushImage('refs', 'plain', 'plain', { subject })
      const referrer = JSON.stringify({ ...index, subject })
      const pushed = await client.expect(201, 'PUT', '/v2/refs/manifests/index', {
        body: referrer,
      })
      assert.equal(pushed.headers['oci-subject'], subject.digest)
      const descriptor = ({ digest, bytes }: { digest: Digest; bytes: Buffer }) => ({
        ...{ mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length },
      })
      const sbomEntry = { ...descriptor(sbom), artifactType: 'application/x-sbom', annotations }
      const byDigest = (a: { digest: string }, b: { digest: string }) =>
        a.digest < b.digest ? -1 : 1
      const expected = [
        sbomEntry,
        { ...descriptor(plain), artifactType: MEDIA_TYPE.ociConfig },
        descriptorOf(MEDIA_TYPE.ociIndex, referrer) as { digest: string },
      ].sort(byDigest)
      assert.deepEqual((await json(path)).manifests, expected)
      const filtered = await client.expect(200, 'GET', `${path}?artifactType=application/x-sbom`)
      assert.equal(filtered.headers['oci-filters-applied'], 'artifactType')
      assert.deepEqual(JSON.parse(filtered.body.toString()).manifests, [sbomEntry])
      assert.deepEqual((await json(`${path}?artifactType=none`)).manifests, [])
      assert.deepEqual((await json(`/v2/refs/x/referrers/${subject.digest}`)).manifests, [])
      await client.expect(202, 'DELETE', `/v2/refs/manifests/${plain.digest}`)
      assert.equal((await json(path)).manifests.length, 2)
      await client.expect(400, 'GET', '/v2/refs/referrers/sha256:x', { code: 'DIGEST_INVALID' })
    })

    it('splits lists of referrers that are too large for one answer', async () => {
      const subject = descriptorOf(MEDIA_TYPE.ociManifest, 'much annotated') as { digest: Digest }
      const annotations = { pad: 'x'.repeat(1_500_000) }
      const digests: string[] = []
      for (let i = 0; i < 4; i++) {
        const fields = { subject, annotations, number: i }
        digests.push((await client.pushImage('pad', undefined, 'pad', fields)).digest)
      }
      const seen: string[] = []
      let path: string | undefined =
        `/v2/pad/referrers/${subject.digest}?artifactType=${MEDIA_TYPE.ociConfig.replace('+', '%2B')}`
      let pages = 0
      while (path !== undefined) {
        const answer = await client.expect(200, 'GET', path)
        assert.ok(answer.body.length < 5 * 1024 * 1024)
        for (const { digest } of JSON.parse(answer.body.toString()).manifests) seen.push(digest)
        path = nextPage(answer)
        pages++
      }
      assert.deepEqual(seen, digests.sort())
      assert.equal(pages, 2)
    })

    it('tells repositories apart whose names contain parts of paths', async () => {
      const names = [
        'a',
        'a/manifests/b',
        'a/blobs/uploads',
        'a/tags/list',
        'a/referrers',
        'tags/list',
        'manifests',
        'v2/blobs',
        ...['gc', 'uploads', 'catalog', 'tagged/a', 'token-keys/0', 'blobs/sha256', 'records/data'],
      ]
      for (const name of names) await client.pushImage(name, 'v1', name)
      for (const name of names) {
        const answer = await client.expect(200, 'GET', `/v2/${name}/manifests/v1`)
        assert.deepEqual(JSON.parse(answer.body.toString()), imageManifest(name))
        assert.deepEqual(await json(`/v2/${name}/tags/list`), { name, tags: ['v1'] })
        const layer = digestOf(`layer ${name}`)
        await client.expect(200, 'GET', `/v2/${name}/blobs/${layer}`)
        await client.expect(404, 'GET', `/v2/${name === 'a' ? 'manifests' : 'a'}/blobs/${layer}`)
      }
    })

    it('refuses names that are none, and paths that lead nowhere', async () => {
      const before = await registry.contents()
      const names = [
        ...[
          '..',
          '%2e%2e',
          'a/../b',
          'a/%2e%2e/b',
          'a//b',
          'A',
          'a/B',
          '/a',
          'a%00b',
          'a%20b',
          'ä',
          '%c3%a4',
        ],
        ...['a_-b', '-a', 'a-', 'a%2F', '%', '%zz', 'a!', 'a'.repeat(256), '_catalog', 'a%0ab'],
      ].filter((name) => name !== 'ä')
      const digest = digestOf('x')
      for (const name of names) {
        const invalid = { code: 'NAME_INVALID' }
        await client.expect(400, 'GET', `/v2/${name}/manifests/v1`, invalid)
        await client.expect(400, 'GET', `/v2/${name}/tags/list`, invalid)
        await client.expect(400, 'GET', `/v2/${name}/blobs/${digest}`, invalid)
        await client.expect(400, 'POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, {
          body: 'x',
          ...invalid,
        })
      }
      for (const path of [
        '/',
        '/v1/',
        '/v2/app',
        '/v2/app/',
        '/v2/app/manifests/',
        '/v2//manifests/v1',
        '/v2/app/x/y',
        '/v3/a/tags/list',
      ]) {
        const answer = await client.send('GET', path)
        assert.ok([404, 400].includes(answer.status), `${path}: ${answer.status}`)
      }
      const refused = await client.expect(405, 'POST', '/v2/app/manifests/v1', {
        code: 'UNSUPPORTED',
        body: 'x',
      })
      assert.equal(refused.headers.allow, 'HEAD, GET, PUT, DELETE')
      await client.expect(404, 'GET', '/v2/app/manifests/v1', { code: 'MANIFEST_UNKNOWN' })
      const head = await client.expect(404, 'HEAD', '/v2/app/manifests/v1')
      assert.equal(head.body.length, 0)
      assert.deepEqual(await registry.contents(), before)
    })
  })
}
