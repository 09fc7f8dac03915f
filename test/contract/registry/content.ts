import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
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

/** Registers the tests of blobs, manifests, tags and referrers. */
export function testContent(name: string, start: StartRegistry): void {
  describe(`content of ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

    const json = async (path: string) =>
      JSON.parse((await client.expect(200, 'GET', path)).body.toString())

    it('says that it is a registry', async () => {
      for (const path of ['/v2/', '/v2']) {
        const { headers } = await client.expect(200, 'GET', path)
        assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
      }
    })

    it('serves blobs whole, by range, by several ranges, and by header', async () => {
      const bytes = randomBytes(10_000)
      const digest = await client.pushBlob('blobs', bytes)
      const path = `/v2/blobs/blobs/${digest}`
      const whole = await client.expect(200, 'GET', path)
      assert.ok(bytes.equals(whole.body))
      const head = await client.expect(200, 'HEAD', path)
      for (const { headers } of [whole, head]) {
        assert.equal(headers['content-length'], '10000')
        assert.equal(headers['docker-content-digest'], digest)
        assert.equal(headers['content-type'], 'application/octet-stream')
        assert.equal(headers['accept-ranges'], 'bytes')
      }
      const ranges: readonly [string, number, number][] = [
        ['0-0', 0, 0],
        ['500-1499', 500, 1499],
        ['500-', 500, 9999],
        ['-500', 9500, 9999],
        ['-20000', 0, 9999],
        ['9000-20000', 9000, 9999],
      ]
      for (const [range, first, last] of ranges) {
        const answer = await client.expect(206, 'GET', path, {
          headers: { range: `bytes=${range}` },
        })
        assert.ok(bytes.subarray(first, last + 1).equals(answer.body), range)
        assert.equal(answer.headers['content-range'], `bytes ${first}-${last}/10000`)
      }
      for (const range of ['500-0', '10000-', '10000-20000', '-0']) {
        const headers = { range: `bytes=${range}` }
        const answer = await client.expect(416, 'GET', path, { headers })
        assert.equal(answer.headers['content-range'], 'bytes */10000')
      }
      for (const range of ['bytes=abc', 'lines=0-5', 'bytes=', 'bytes=-', 'bytes=1-2-3']) {
        await client.expect(200, 'GET', path, { headers: { range } })
      }
      const parts = await client.expect(206, 'GET', path, {
        headers: { range: 'bytes=0-9, 100-199,-5' },
      })
      const [, boundary] = /boundary=(.+)$/.exec(parts.headers['content-type'] ?? '') ?? []
      const expected = [
        [0, 9],
        [100, 199],
        [9995, 9999],
      ].flatMap(([first = 0, last = 0]) => [
        Buffer.from(
          `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
            `Content-Range: bytes ${first}-${last}/10000\r\n\r\n`,
        ),
        bytes.subarray(first, last + 1),
      ])
      assert.ok(
        Buffer.concat([...expected, Buffer.from(`\r\n--${boundary}--\r\n`)]).equals(parts.body),
      )
      const headRange = await client.expect(206, 'HEAD', path, { headers: { range: 'bytes=0-4' } })
      assert.equal(headRange.headers['content-length'], '5')
    })

    it('honours conditions on blobs', async () => {
      const digest = await client.pushBlob('blobs', 'conditional')
      const path = `/v2/blobs/blobs/${digest}`
      const etag = (await client.expect(200, 'GET', path)).headers.etag ?? ''
      await client.expect(304, 'GET', path, { headers: { 'if-none-match': `"other", ${etag}` } })
      await client.expect(200, 'GET', path, { headers: { 'if-none-match': '"other"' } })
      const range = 'bytes=0-3'
      await client.expect(206, 'GET', path, { headers: { range, 'if-range': etag } })
      await client.expect(200, 'GET', path, { headers: { range, 'if-range': '"other"' } })
    })

    it('shows a blob only in repositories that have it, and deletes it from one alone', async () => {
      const digest = await client.pushBlob('has/it', 'shared')
      await client.expect(404, 'GET', `/v2/has/blobs/${digest}`, { code: 'BLOB_UNKNOWN' })
      await client.expect(404, 'GET', `/v2/has/it/too/blobs/${digest}`, { code: 'BLOB_UNKNOWN' })
      await client.expect(404, 'DELETE', `/v2/has/blobs/${digest}`, { code: 'BLOB_UNKNOWN' })
      await client.pushBlob('also', 'shared')
      await client.expect(202, 'DELETE', `/v2/has/it/blobs/${digest}`)
      await client.expect(404, 'HEAD', `/v2/has/it/blobs/${digest}`)
      await client.expect(404, 'DELETE', `/v2/has/it/blobs/${digest}`, { code: 'BLOB_UNKNOWN' })
      await client.expect(200, 'HEAD', `/v2/also/blobs/${digest}`)
    })

    it('gives manifests back byte for byte, by tag and by digest', async () => {
      const custom = { 'x-custom': { b: 1.5, a: [null] } }
      const { digest, bytes } = await client.pushImage('images', 'v1', 'plain', custom)
      for (const reference of ['v1', digest]) {
        const path = `/v2/images/manifests/${reference}`
        const answer = await client.expect(200, 'GET', path)
        assert.ok(bytes.equals(answer.body))
        const head = await client.expect(200, 'HEAD', path)
        for (const { headers } of [answer, head]) {
          assert.equal(headers['content-type'], MEDIA_TYPE.ociManifest)
          assert.equal(headers['docker-content-digest'], digest)
          assert.equal(headers['content-length'], String(bytes.length))
        }
        await client.expect(304, 'GET', path, { headers: { 'if-none-match': `"${digest}"` } })
      }
      const pushed = await client.expect(201, 'PUT', `/v2/images/manifests/${digest}`, {
        body: bytes,
        headers: { 'content-type': `${MEDIA_TYPE.ociManifest}; charset=utf-8` },
      })
      assert.equal(pushed.headers.location, `/v2/images/manifests/${digest}`)
      assert.equal(pushed.headers['docker-content-digest'], digest)
      const again = await client.expect(200, 'GET', `/v2/images/manifests/${digest}`)
      assert.equal(again.headers['content-type'], MEDIA_TYPE.ociManifest)
    })

    it('takes manifests by a sha512 digest, of Docker, and indexes of manifests', async () => {
      const { bytes, digest } = await client.pushImage('kinds', undefined, 'kinds')
      const long = digestOf(bytes, 'sha512')
      await client.expect(201, 'PUT', `/v2/kinds/manifests/${long}`, { body: bytes })
      await client.expect(200, 'GET', `/v2/kinds/manifests/${long}`)
      const docker = JSON.stringify({
        ...imageManifest('kinds'),
        mediaType: MEDIA_TYPE.dockerManifest,
      })
      const headers = { 'content-type': MEDIA_TYPE.dockerManifest }
      await client.expect(201, 'PUT', '/v2/kinds/manifests/docker', { body: docker, headers })
      const answer = await client.expect(200, 'GET', '/v2/kinds/manifests/docker')
      assert.equal(answer.headers['content-type'], MEDIA_TYPE.dockerManifest)
      for (const mediaType of [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerManifestList]) {
        const manifests = [{ mediaType: MEDIA_TYPE.ociManifest, digest, size: bytes.length }]
        const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests })
        const options = { body, headers: { 'content-type': mediaType } }
        await client.expect(201, 'PUT', '/v2/kinds/manifests/index', options)
      }
    })

    it('refuses manifests that refer to what the repository lacks, and keeps nothing', async () => {
      await client.pushImage('complete', 'v1', 'complete')
      const before = await registry.contents()
      const unknown = { code: 'MANIFEST_BLOB_UNKNOWN' }
      const image = JSON.stringify(imageManifest('never pushed'))
      await client.expect(404, 'PUT', '/v2/complete/manifests/v2', { body: image, ...unknown })
      const elsewhere = JSON.stringify(imageManifest('complete'))
      await client.expect(404, 'PUT', '/v2/incomplete/manifests/v1', {
        body: elsewhere,
        ...unknown,
      })
      const manifests = [descriptorOf(MEDIA_TYPE.ociManifest, 'never pushed')]
      const index = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests })
      await client.expect(404, 'PUT', '/v2/complete/manifests/v2', { body: index, ...unknown })
      assert.deepEqual(await registry.contents(), before)
      const layers = [
        descriptorOf('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'theirs'),
        descriptorOf(MEDIA_TYPE.dockerForeignLayerGzip, 'theirs too'),
      ]
      const body = JSON.stringify({ ...imageManifest('complete'), layers })
      await client.expect(201, 'PUT', '/v2/complete/manifests/foreign', { body })
    })

    it('refuses manifests that are wrong, and keeps nothing', async () => {
      const good = imageManifest('bad')
      await client.pushImage('bad', 'v1', 'bad')
      const before = await registry.contents()
      const text = JSON.stringify(good)
      const other = digestOf('something else')
      const cases: readonly [string, string, number, string][] = [
        ['v2', '', 400, 'MANIFEST_INVALID'],
        ['v2', 'not json', 400, 'MANIFEST_INVALID'],
        ['v2', '[]', 400, 'MANIFEST_INVALID'],
        ['v2', '{}', 400, 'MANIFEST_INVALID'],
        ['v2', JSON.stringify({ ...good, schemaVersion: 1 }), 400, 'MANIFEST_INVALID'],
        ['v2', JSON.stringify({ ...good, manifests: [] }), 400, 'MANIFEST_INVALID'],
        [
          'v2',
          JSON.stringify({ ...good, mediaType: MEDIA_TYPE.ociIndex }),
          400,
          'MANIFEST_INVALID',
        ],
        ['v2', JSON.stringify({ ...good, subject: { digest: 'x' } }), 400, 'MANIFEST_INVALID'],
        ['v2', text.replace('{', '{"schemaVersion":2,'), 400, 'MANIFEST_INVALID'],
        ['v2', '['.repeat(100_000), 400, 'MANIFEST_INVALID'],
        [other, text, 400, 'DIGEST_INVALID'],
        [digestOf(text), `${text}  `, 400, 'DIGEST_INVALID'],
        ['sha256:baddigeststring', text, 400, 'DIGEST_INVALID'],
        ['-v2', text, 400, 'MANIFEST_INVALID'],
        ['v'.repeat(129), text, 400, 'MANIFEST_INVALID'],
        ['v%2F2', text, 400, 'MANIFEST_INVALID'],
        ['v2', ' '.repeat(4 * 1024 * 1024 + 1), 413, 'MANIFEST_INVALID'],
      ]
      for (const [reference, body, status, code] of cases) {
        await client.expect(status, 'PUT', `/v2/bad/manifests/${reference}`, { body, code })
      }
      const wrongType = { body: text, headers: { 'content-type': MEDIA_TYPE.ociIndex } }
      await client.expect(400, 'PUT', '/v2/bad/manifests/v2', wrongType)
      assert.deepEqual(await registry.contents(), before)
    })

    it('takes manifests of 4 MiB', async () => {
      const bare = { ...imageManifest('large'), annotations: { pad: '' } }
      const pad = 'x'.repeat(4 * 1024 * 1024 - JSON.stringify(bare).length)
      const { bytes } = await client.pushImage('large', 'v1', 'large', { annotations: { pad } })
      assert.equal(bytes.length, 4 * 1024 * 1024)
      assert.ok(bytes.equals((await client.expect(200, 'GET', '/v2/large/manifests/v1')).body))
    })

    it('moves tags, deletes tags alone, and deletes manifests with their tags', async () => {
      const first = await client.pushImage('tags', 'latest', 'first')
      await client.pushImage('tags', 'v1', 'first')
      const second = await client.pushImage('tags', 'latest', 'second')
      await client.pushImage('tags', 'v2', 'second')
      const digestOfTag = async (tag: string) =>
        (await client.expect(200, 'HEAD', `/v2/tags/manifests/${tag}`)).headers[
          'docker-content-digest'
        ]
      assert.equal(await digestOfTag('latest'), second.digest)
      assert.equal(await digestOfTag('v1'), first.digest)
      await client.expect(202, 'DELETE', '/v2/tags/manifests/v2')
      await client.expect(404, 'GET', '/v2/tags/manifests/v2', { code: 'MANIFEST_UNKNOWN' })
      await client.expect(404, 'DELETE', '/v2/tags/manifests/v2', { code: 'MANIFEST_UNKNOWN' })
      await client.expect(200, 'GET', `/v2/tags/manifests/${second.digest}`)
      await client.expect(202, 'DELETE', `/v2/tags/manifests/${first.digest}`)
      await client.expect(404, 'DELETE', `/v2/tags/manifests/${first.digest}`)
      await client.expect(404, 'GET', '/v2/tags/manifests/v1', { code: 'MANIFEST_UNKNOWN' })
      assert.equal(await digestOfTag('latest'), second.digest)
      assert.deepEqual(await json('/v2/tags/tags/list'), { name: 'tags', tags: ['latest'] })
      await client.expect(202, 'DELETE', `/v2/tags/manifests/${second.digest}`)
      assert.deepEqual(await json('/v2/tags/tags/list'), { name: 'tags', tags: [] })
    })

    it('lists tags in the order of bytes, in pages', async () => {
      const tags = ['0.1.2', '0.1.20', '1', '10', 'A', 'Z', '_x', 'a', 'a-b', 'a.b', 'aa']
      for (const tag of tags.toReversed()) await client.pushImage('pages', tag, 'pages')
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
      const empty = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] }
      const unknown = await client.expect(200, 'GET', path)
      assert.equal(unknown.headers['content-type'], MEDIA_TYPE.ociIndex)
      assert.deepEqual(JSON.parse(unknown.body.toString()), empty)
      const annotations = { 'org.example.key': 'value' }
      const sbom = await client.pushImage('refs', undefined, 'sbom', {
        ...{ subject, annotations, artifactType: 'application/x-sbom' },
      })
      const plain = await client.pushImage('refs', 'plain', 'plain', { subject })
      const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [], subject }
      const pushed = await client.expect(201, 'PUT', '/v2/refs/manifests/index', {
        body: JSON.stringify(index),
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
        descriptorOf(MEDIA_TYPE.ociIndex, JSON.stringify(index)) as { digest: string },
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
