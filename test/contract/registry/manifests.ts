import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { piecesOf } from '../../support/streams.ts'
import {
  createRegistryClient,
  descriptorOf,
  imageManifest,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

/** Registers the tests of manifests of a registry. */
export function testManifests(name: string, start: StartRegistry): void {
  describe(`manifests of ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

    const json = async (path: string) =>
      JSON.parse((await client.expect(200, 'GET', path)).body.toString())

    it('gives manifests back byte for byte, by tag and by digest', async () => {
      const custom = { 'x-custom': { b: 1.5, a: [null] } }
      const { digest, bytes } = await client.pushImage('images', 'v1', 'plain', custom)
      for (const reference of ['v1', digest, digest.replace(':', '%3A'), '%761']) {
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

    it('gives a manifest out as what it is, whatever the client accepts or takes the registry for', async () => {
      const { digest, bytes } = await client.pushImage('accepted', 'v1', 'accepted')
      for (const accept of [
        '*/*',
        'application/json',
        MEDIA_TYPE.dockerManifest,
        'text/html;q=0',
      ]) {
        for (const query of ['', '?ns=registry.example.org']) {
          const path = `/v2/accepted/manifests/v1${query}`
          const answer = await client.expect(200, 'GET', path, { headers: { accept } })
          assert.equal(answer.headers['content-type'], MEDIA_TYPE.ociManifest)
          assert.equal(answer.headers['docker-content-digest'], digest)
          assert.equal(answer.headers['oci-namespace'], undefined)
          assert.ok(bytes.equals(answer.body))
        }
      }
    })

    it('keeps what is odd but allowed, byte for byte, and fetches nothing that it names', async () => {
      const good = imageManifest('odd') as { readonly layers: readonly object[] }
      await client.pushImage('odd', 'good', 'odd')
      const [layer] = good.layers
      const odd: readonly object[] = [
        { layers: [{ ...layer, size: 12_345 }] },
        { layers: [{ ...layer, urls: ['javascript:alert(1)', 'file:///etc/passwd', ''] }] },
        { layers: [layer, layer, layer] },
        { layers: [{ ...layer, data: 'AAAA' }] },
        { artifactType: 'application/vnd.example; version=1' },
        { annotations: { '': '', ['__proto__']: 'x', 'a\u0000b': '\u202e' } },
      ]
      for (const fields of odd) {
        const body = JSON.stringify({ ...good, ...fields })
        await client.expect(201, 'PUT', '/v2/odd/manifests/v1', { body })
        const answer = await client.expect(200, 'GET', '/v2/odd/manifests/v1')
        assert.equal(answer.body.toString(), body)
      }
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
      const endless = { body: piecesOf(Buffer.alloc(8 * 1024 * 1024, ' ')) }
      await client.expect(413, 'PUT', '/v2/bad/manifests/v2', endless)
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

    it('gives a manifest that is pushed by digest the tags that the request names', async () => {
      const { digest, bytes } = await client.pushImage('tagged', undefined, 'tagged')
      const path = `/v2/tagged/manifests/${digest}`
      const names = Array.from({ length: 12 }, (_, n) => `v${n}`)
      const query = (tags: readonly string[]) => tags.map((tag) => `tag=${tag}`).join('&')
      const pushed = await client.expect(201, 'PUT', `${path}?${query([...names, 'v0'])}`, {
        body: bytes,
      })
      assert.equal(pushed.headers['oci-tag'], names.join(', '))
      for (const tag of names) {
        const { headers } = await client.expect(200, 'HEAD', `/v2/tagged/manifests/${tag}`)
        assert.equal(headers['docker-content-digest'], digest)
      }
      const long = digestOf(bytes, 'sha512')
      await client.expect(201, 'PUT', `/v2/tagged/manifests/${long}?tag=long`, { body: bytes })
      const { headers } = await client.expect(200, 'GET', '/v2/tagged/manifests/long')
      assert.equal(headers['docker-content-digest'], long)

      const before = await registry.contents()
      const many = query(Array.from({ length: 101 }, (_, n) => `many${n}`))
      await client.expect(414, 'PUT', `${path}?${many}`, { body: bytes })
      await client.expect(400, 'PUT', `${path}?tag=ok&tag=-bad`, {
        body: bytes,
        code: 'MANIFEST_INVALID',
      })
      await client.expect(400, 'PUT', '/v2/tagged/manifests/v0?tag=other', { body: bytes })
      assert.deepEqual(await registry.contents(), before)
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
  })
}
