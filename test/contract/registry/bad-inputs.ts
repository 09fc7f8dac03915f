import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import type { RequestOptions } from '../../support/http.ts'
import { BAD_MANIFESTS, type Manifest } from './bad-manifests.ts'
import {
  createRegistryClient,
  descriptorOf,
  imageManifest,
  type PushedImage,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

const HEX = '0'.repeat(64)
const DIGEST = digestOf('never pushed')

/** Each is refused with 400 wherever a digest stands. */
const BAD_DIGESTS: readonly string[] = [
  'sha256:baddigeststring',
  `sha256:${HEX.slice(1)}`,
  `sha256:${HEX}0`,
  `sha256:${'A'.repeat(64)}`,
  `sha256:${'g'.repeat(64)}`,
  `SHA256:${HEX}`,
  `sha512:${HEX}`,
  `sha384:${'0'.repeat(96)}`,
  `md5:${'0'.repeat(32)}`,
  `sha256+b64:${HEX}`,
  `sha256%2Bb64:${HEX}`,
  `sha256:sha256:${HEX}`,
  'sha256:..%2F..%2Fx',
  'sha256:%2e%2e%2fx',
  `sha256:${HEX}%00`,
  `sha256:${HEX}%0a`,
  `%20sha256:${HEX}`,
  'sha256:',
  ':',
  `:${HEX}`,
]

/** Names of repositories, in a path as it goes over the wire. */
const BAD_NAMES: readonly string[] = [
  ...['..', '%2e%2e', '.', 'a/..', '../a', 'a/../b', 'a/%2e%2e/b', 'a%2F..%2Fb', 'a//b', '/a'],
  ...['a/', 'A', 'a/B', '-a', 'a-', '_a', 'a_', '.a', 'a.', 'a..b', 'a_.b', 'a___b', 'a%2F'],
  ...['a%00b', 'a%20b', 'a%0ab', 'a%0d%0ab', '%c3%a4', '%ff', '%', '%zz', 'a!', 'a!/b', 'a@b'],
  ...['a:b', 'a*', 'a%3Fb', 'a%23b', 'a\\b', '_catalog', 'a'.repeat(256), `${'a/'.repeat(128)}a`],
]

/** Registers the tables of requests that no registry may take, nor change anything for. */
export function testBadInputs(name: string, start: StartRegistry): void {
  describe(`bad requests to ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    let image: PushedImage
    let untouched: readonly string[]

    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
      image = await client.pushImage('good', 'v1', 'good')
      untouched = await registry.contents()
    })
    after(() => registry.stop())

    /** Runs requests that are to be refused; nothing may have changed afterwards, contents included. */
    async function refuses(requests: () => Promise<void>): Promise<void> {
      await requests()
      assert.deepEqual(await registry.contents(), untouched)
      const { body } = await client.expect(200, 'GET', '/v2/good/manifests/v1')
      assert.ok(image.bytes.equals(body))
      await client.expect(200, 'GET', `/v2/good/blobs/${image.layer}`)
    }
    const refused = (
      status: number,
      code: string,
      method: string,
      path: string,
      options: RequestOptions = {},
    ) => client.expect(status, method, path, method === 'HEAD' ? options : { ...options, code })

    it('are refused for a name that is none, on every route', () =>
      refuses(async () => {
        for (const bad of BAD_NAMES) {
          const routes: readonly [string, string][] = [
            ['GET', 'manifests/v1'],
            ['HEAD', `manifests/${image.digest}`],
            ['PUT', 'manifests/v1'],
            ['DELETE', 'manifests/v1'],
            ['GET', 'tags/list'],
            ['GET', `referrers/${image.digest}`],
            ['GET', `blobs/${image.layer}`],
            ['DELETE', `blobs/${image.layer}`],
            ['POST', `blobs/uploads/?digest=${image.layer}`],
            ['POST', 'blobs/uploads/'],
          ]
          for (const [method, rest] of routes) {
            await refused(400, 'NAME_INVALID', method, `/v2/${bad}/${rest}`)
          }
        }
        for (const bad of ['..', 'good%2F..', 'GOOD', 'good%00', '']) {
          const query = `mount=${image.layer}&from=${bad}`
          const path = `/v2/other/blobs/uploads/?${query}`
          await refused(400, 'NAME_INVALID', 'POST', path)
        }
      }))

    it('are refused for a digest that is none, on every route', () =>
      refuses(async () => {
        for (const bad of BAD_DIGESTS) {
          const routes: readonly [string, string][] = [
            ['GET', `manifests/${bad}`],
            ['HEAD', `manifests/${bad}`],
            ['PUT', `manifests/${bad}`],
            ['DELETE', `manifests/${bad}`],
            ['GET', `referrers/${bad}`],
            ['GET', `blobs/${bad}`],
            ['HEAD', `blobs/${bad}`],
            ['DELETE', `blobs/${bad}`],
            ['POST', `blobs/uploads/?digest=${bad}`],
            ['POST', `blobs/uploads/?mount=${bad}&from=good`],
          ]
          for (const [method, rest] of routes) {
            const body = method === 'PUT' || method === 'POST' ? { body: 'x' } : {}
            await refused(400, 'DIGEST_INVALID', method, `/v2/good/${rest}`, body)
          }
        }
      }))

    for (const [what, make, code = 'MANIFEST_INVALID'] of BAD_MANIFESTS) {
      it(`are refused for a manifest that ${what}`, () =>
        refuses(async () => {
          const made = make(imageManifest('good') as Manifest)
          const body = Buffer.from(typeof made === 'string' ? made : JSON.stringify(made), 'latin1')
          const status = code === 'MANIFEST_BLOB_UNKNOWN' ? 404 : 400
          await refused(status, code, 'PUT', '/v2/good/manifests/v1', { body })
          await refused(status, code, 'PUT', `/v2/good/manifests/${digestOf(body)}`, { body })
          await refused(status, code, 'PUT', '/v2/new/manifests/v1', { body })
        }))
    }

    it('are refused for a manifest that is not what its digest, its type or its tag says', () =>
      refuses(async () => {
        const { bytes, digest } = image
        const put = (status: number, code: string, reference: string, options: RequestOptions) =>
          refused(status, code, 'PUT', `/v2/good/manifests/${reference}`, options)
        await put(400, 'DIGEST_INVALID', DIGEST, { body: bytes })
        await put(400, 'DIGEST_INVALID', digest, { body: `${bytes}  ` })
        await put(400, 'DIGEST_INVALID', digestOf('x', 'sha512'), { body: bytes })
        for (const type of [MEDIA_TYPE.ociIndex, 'text/plain', MEDIA_TYPE.dockerManifest, 'x']) {
          const headers = { 'content-type': type }
          await put(400, 'MANIFEST_INVALID', 'v1', { body: bytes, headers })
        }
        for (const bad of ['-v', '.v', 'v%2F1', 'v%00', 'v%201', '%c3%a4', 'v'.repeat(129), 'v!']) {
          await put(400, 'MANIFEST_INVALID', bad, { body: bytes })
          await put(400, 'MANIFEST_INVALID', `${digest}?tag=${bad}`, { body: bytes })
        }
        const headers = { 'content-encoding': 'gzip' }
        const bomb = Buffer.from('1f8b0800000000000003', 'hex')
        await put(400, 'MANIFEST_INVALID', 'v1', { body: bomb, headers })
      }))

    it('are refused for a manifest of more bytes, or of more references, than it may have', () =>
      refuses(async () => {
        const limit = 4 * 1024 * 1024
        const path = '/v2/good/manifests/v1'
        const body = Buffer.alloc(limit + 1, ' ')
        await refused(413, 'MANIFEST_INVALID', 'PUT', path, { body })
        const layers = Array.from({ length: 20_000 }, (_, n) =>
          descriptorOf(MEDIA_TYPE.ociLayer, String(n)),
        )
        const withLayers = (all: readonly object[]) =>
          JSON.stringify({ ...imageManifest('good'), layers: all })
        const many = withLayers(layers)
        await refused(404, 'MANIFEST_BLOB_UNKNOWN', 'PUT', path, { body: many })
        const more = withLayers(Array.from({ length: 5 }, () => layers).flat())
        await refused(413, 'MANIFEST_INVALID', 'PUT', path, { body: more })
      }))

    it('are refused for pages and ranges that are none', () =>
      refuses(async () => {
        for (const query of [
          'n=-1',
          'n=abc',
          'n=1.5',
          'n=1e18',
          'n=+1',
          'n=0x1',
          'n=',
          'n=1&n=1',
        ]) {
          await refused(400, 'UNSUPPORTED', 'GET', `/v2/good/tags/list?${query}`)
          await refused(400, 'UNSUPPORTED', 'GET', `/v2/_catalog?${query}`)
        }
        for (const last of ['%00', '%0a', '%c3%a4', 'x'.repeat(301), 'a&last=b']) {
          await refused(400, 'UNSUPPORTED', 'GET', `/v2/good/tags/list?last=${last}`)
        }
        const path = `/v2/good/blobs/${image.layer}`
        const size = (await client.expect(200, 'GET', path)).body.length
        for (const range of [`${size}-`, '5-2', '-0', `${2 ** 60}-`]) {
          const headers = { range: `bytes=${range}` }
          await refused(416, 'SIZE_INVALID', 'GET', path, { headers })
        }
        for (const range of ['bytes=abc', 'bytes=0-1-2', 'bytes=--1', 'chars=0-1', 'bytes 0-1']) {
          await client.expect(200, 'GET', path, { headers: { range } })
        }
        const many = `bytes=${Array.from({ length: 17 }, (_, n) => `${n}-${n}`).join(',')}`
        await client.expect(200, 'GET', path, { headers: { range: many } })
      }))

    it('are refused for methods and places that there are not', () =>
      refuses(async () => {
        const methods: readonly [string, string][] = [
          ['POST', '/v2/good/manifests/v1'],
          ['PATCH', '/v2/good/manifests/v1'],
          ['PUT', `/v2/good/blobs/${image.layer}`],
          ['DELETE', '/v2/good/tags/list'],
          ['PUT', '/v2/good/blobs/uploads/'],
          ['DELETE', '/v2/_catalog'],
          ['DELETE', '/v2/'],
        ]
        for (const [method, path] of methods) {
          const { headers } = await refused(405, 'UNSUPPORTED', method, path)
          assert.ok(headers.allow?.includes('GET') || headers.allow?.includes('POST'), path)
        }
        for (const path of ['/v1/', '/v2/good', '/v2/good/x/y', '/v2x', '/V2/', '//v2/']) {
          await refused(404, 'UNSUPPORTED', 'GET', path)
        }
      }))
  })
}
