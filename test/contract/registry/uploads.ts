import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Digest, digestOf } from '#oci/digest.ts'
import type { RequestOptions } from '../../support/http.ts'
import { piecesOf } from '../../support/streams.ts'
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

/** Registers the tests of pushing blobs. */
export function testUploads(name: string, start: StartRegistry): void {
  describe(`pushing blobs to ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

    const fetchBlob = async (digest: Digest) =>
      (await client.expect(200, 'GET', `/v2/app/blobs/${digest}`)).body
    const put = (location: string, digest: Digest, options: RequestOptions = {}) =>
      client.send('PUT', `${location}?digest=${digest}`, options)
    /** Every form of an upload of two chunks, up to the request that closes it. */
    const forms: Readonly<Record<string, (bytes: Buffer, digest: Digest) => Promise<number>>> = {
      'a single POST': async (body, digest) =>
        (await client.send('POST', `/v2/app/blobs/uploads/?digest=${digest}`, { body })).status,
      'a POST and a PUT with the bytes': async (body, digest) =>
        (await put(await client.startUpload('app'), digest, { body })).status,
      'a PUT of a stream without a length': async (body, digest) =>
        (await put(await client.startUpload('app'), digest, { body: piecesOf(body) })).status,
      'a PATCH of a stream and a PUT': async (body, digest) => {
        const location = await client.startUpload('app')
        await client.expect(202, 'PATCH', location, { body: piecesOf(body) })
        return (await put(location, digest)).status
      },
      'chunks and a PUT': async (bytes, digest) => {
        const location = await client.startUpload('app')
        for (const chunk of chunksOf(bytes)) await client.expect(202, 'PATCH', location, chunk)
        return (await put(location, digest)).status
      },
      'chunks, the last one in the PUT': async (bytes, digest) => {
        const [first, last] = chunksOf(bytes)
        const location = await client.startUpload('app')
        await client.expect(202, 'PATCH', location, first)
        return (await put(location, digest, last)).status
      },
    }

    for (const [form, upload] of Object.entries(forms)) {
      it(`takes a blob by ${form}, with either algorithm`, async () => {
        for (const algorithm of ['sha256', 'sha512'] as const) {
          const bytes = randomBytes(150_000)
          const digest = digestOf(bytes, algorithm)
          assert.equal(await upload(bytes, digest), 201)
          assert.ok(bytes.equals(await fetchBlob(digest)))
        }
      })

      it(`refuses a wrong digest by ${form} and keeps nothing`, async () => {
        const before = await registry.contents()
        assert.equal(await upload(randomBytes(150_000), digestOf('something else')), 400)
        assert.deepEqual(await registry.contents(), before)
        await client.expect(404, 'HEAD', `/v2/app/blobs/${digestOf('something else')}`)
      })
    }

    it('answers each step as the specification says', async () => {
      const started = await client.expect(202, 'POST', '/v2/app/blobs/uploads/')
      const location = started.headers.location ?? ''
      assert.match(location, /^\/v2\/app\/blobs\/uploads\/[0-9a-f-]{36}$/)
      assert.equal(started.headers['content-length'], '0')
      const first = await client.expect(202, 'PATCH', location, { body: 'hello ' })
      assert.equal(first.headers.range, '0-5')
      assert.equal(first.headers.location, location)
      const status = await client.expect(204, 'GET', location)
      assert.equal(status.headers.range, '0-5')
      assert.equal(status.headers.location, location)
      await client.expect(202, 'PATCH', location, { body: 'world' })
      const digest = digestOf('hello world')
      const done = await client.expect(201, 'PUT', `${location}?digest=${digest}`)
      assert.equal(done.headers.location, `/v2/app/blobs/${digest}`)
      assert.equal(done.headers['docker-content-digest'], digest)
      await client.expect(404, 'GET', location, { code: 'BLOB_UPLOAD_UNKNOWN' })
    })

    it('takes chunks of any size, and names no least one', async () => {
      const started = await client.expect(202, 'POST', '/v2/app/blobs/uploads/')
      assert.equal(started.headers['oci-chunk-min-length'], undefined)
      const location = started.headers.location ?? ''
      const bytes = Buffer.from('one by one')
      for (const [at, byte] of bytes.entries()) {
        const headers = { 'content-range': `${at}-${at}` }
        const body = Buffer.from([byte])
        const answer = await client.expect(202, 'PATCH', location, { body, headers })
        assert.equal(answer.headers.range, `0-${at}`)
      }
      assert.equal((await put(location, digestOf(bytes))).status, 201)
      assert.ok(bytes.equals(await fetchBlob(digestOf(bytes))))
    })

    it('is told the algorithm of the digest at the start, and takes the other one all the same', async () => {
      for (const told of ['sha256', 'sha512'] as const) {
        for (const algorithm of ['sha256', 'sha512'] as const) {
          const bytes = randomBytes(50_000)
          const digest = digestOf(bytes, algorithm)
          const { headers } = await client.expect(
            202,
            'POST',
            `/v2/app/blobs/uploads/?digest-algorithm=${told}`,
          )
          const location = headers.location ?? ''
          for (const chunk of chunksOf(bytes)) await client.expect(202, 'PATCH', location, chunk)
          const done = await put(location, digest)
          assert.equal(done.status, 201)
          assert.equal(done.headers['docker-content-digest'], digest)
          assert.ok(bytes.equals(await fetchBlob(digest)))
        }
      }
    })

    it('takes a blob without bytes', async () => {
      const digest = digestOf('')
      const location = await client.startUpload('app')
      assert.equal((await put(location, digest)).status, 201)
      assert.equal((await fetchBlob(digest)).length, 0)
    })

    it('refuses chunks that are out of order, says where it stands and goes on from there', async () => {
      const bytes = randomBytes(3000)
      const location = await client.startUpload('app')
      const chunk = (from: number, to: number) => ({
        body: bytes.subarray(from, to),
        headers: { 'content-range': `${from}-${to - 1}` },
      })
      const outOfOrder = { code: 'BLOB_UPLOAD_INVALID' }
      await client.expect(416, 'PATCH', location, { ...chunk(1000, 2000), ...outOfOrder })
      await client.expect(202, 'PATCH', location, chunk(0, 1000))
      await client.expect(416, 'PATCH', location, { ...chunk(0, 1000), ...outOfOrder })
      await client.expect(416, 'PATCH', location, { ...chunk(2000, 3000), ...outOfOrder })
      const last = `${location}?digest=${digestOf(bytes)}`
      await client.expect(416, 'PUT', last, { ...chunk(2000, 3000), ...outOfOrder })
      const status = await client.expect(204, 'GET', location)
      assert.equal(status.headers.range, '0-999')
      await client.expect(202, 'PATCH', location, chunk(1000, 2000))
      await client.expect(201, 'PUT', last, chunk(2000, 3000))
      assert.ok(bytes.equals(await fetchBlob(digestOf(bytes))))
    })

    it('answers a closing PUT again whose answer was lost', async () => {
      const bytes = randomBytes(5000)
      const digest = digestOf(bytes)
      const location = await client.startUpload('app')
      await client.expect(202, 'PATCH', location, { body: bytes })
      for (let i = 0; i < 3; i++) assert.equal((await put(location, digest)).status, 201)
      assert.equal((await put(location, digest, { body: bytes })).status, 201)
      await client.expect(404, 'PUT', `${location}?digest=${digestOf('never pushed')}`)
    })

    it('keeps an upload to the repository that it was started in', async () => {
      const location = await client.startUpload('app')
      const elsewhere = location.replace('/app/', '/other/')
      const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
      await client.expect(404, 'GET', elsewhere, unknown)
      await client.expect(404, 'PATCH', elsewhere, { body: 'x', ...unknown })
      await client.expect(404, 'PUT', `${elsewhere}?digest=${digestOf('x')}`, {
        body: 'x',
        ...unknown,
      })
      await client.expect(404, 'DELETE', elsewhere, unknown)
      await client.expect(204, 'DELETE', location)
    })

    it('believes no state that a client brings along', async () => {
      const location = await client.startUpload('app')
      for (const [at, state] of ['', 'eyJPZmZzZXQiOjk5fQ==', '%00', 'x'.repeat(2000)].entries()) {
        const path = `${location}?_state=${state}`
        const answer = await client.expect(202, 'PATCH', path, { body: 'x' })
        assert.equal(answer.headers.range, `0-${at}`)
        assert.equal(answer.headers.location, location)
      }
      const digest = digestOf('xxxx')
      await client.expect(201, 'PUT', `${location}?_state=forged&digest=${digest}`)
    })

    it('knows no upload that has expired', async () => {
      const forgetful = await start({ uploadTtlMs: 100 })
      const other = createRegistryClient(forgetful.urls)
      const location = await other.startUpload('app')
      let answer = await other.send('GET', location)
      while (answer.status === 204) answer = await other.send('GET', location)
      assert.equal(answer.status, 404)
      const code = 'BLOB_UPLOAD_UNKNOWN'
      await other.expect(404, 'PATCH', location, { body: 'x', code })
      await other.expect(404, 'PUT', `${location}?digest=${digestOf('x')}`, { body: 'x', code })
      await other.expect(404, 'DELETE', location, { code })
      assert.deepEqual(await forgetful.contents(), [])
      await forgetful.stop()
    })

    it('cancels an upload and keeps nothing of it', async () => {
      const before = await registry.contents()
      const location = await client.startUpload('app')
      await client.expect(202, 'PATCH', location, { body: randomBytes(10_000) })
      await client.expect(204, 'DELETE', location)
      const unknown = { code: 'BLOB_UPLOAD_UNKNOWN' }
      await client.expect(404, 'DELETE', location, unknown)
      await client.expect(404, 'GET', location, unknown)
      await client.expect(404, 'PATCH', location, { body: 'x', ...unknown })
      assert.deepEqual(await registry.contents(), before)
    })

    it('mounts a blob of another repository, and starts an upload when it is not there', async () => {
      const digest = await client.pushBlob('source', randomBytes(100))
      const mount = (from: string, what: Digest = digest) =>
        client.send('POST', `/v2/target/blobs/uploads/?mount=${what}&from=${from}`)
      await client.expect(404, 'HEAD', `/v2/target/blobs/${digest}`)
      const refused = await mount('elsewhere')
      assert.equal(refused.status, 202)
      await client.expect(204, 'GET', refused.headers.location ?? '')
      assert.equal((await mount('source', digestOf('never pushed'))).status, 202)
      await client.expect(404, 'HEAD', `/v2/target/blobs/${digest}`)
      const mounted = await mount('source')
      assert.equal(mounted.status, 201)
      assert.equal(mounted.headers.location, `/v2/target/blobs/${digest}`)
      await client.expect(200, 'HEAD', `/v2/target/blobs/${digest}`)
    })

    it('mounts a blob of whatever repository holds it, when none is named', async () => {
      const digest = await client.pushBlob('holder', randomBytes(100))
      const mount = (name: string) =>
        client.send('POST', `/v2/${name}/blobs/uploads/?mount=${digest}`)
      const mounted = await mount('finder')
      assert.equal(mounted.status, 201)
      assert.equal(mounted.headers.location, `/v2/finder/blobs/${digest}`)
      assert.equal(mounted.headers['docker-content-digest'], digest)
      await client.expect(200, 'HEAD', `/v2/finder/blobs/${digest}`)
      await client.expect(202, 'DELETE', `/v2/holder/blobs/${digest}`)
      assert.equal((await mount('holder')).status, 201)
      for (const name of ['holder', 'finder']) {
        await client.expect(202, 'DELETE', `/v2/${name}/blobs/${digest}`)
      }
      const refused = await mount('late')
      assert.equal(refused.status, 202)
      await client.expect(204, 'DELETE', refused.headers.location ?? '')
      await client.expect(404, 'HEAD', `/v2/late/blobs/${digest}`)
    })

    it('keeps what came before a connection broke, and resumes from there', async () => {
      const bytes = randomBytes(1_000_000)
      const location = await client.startUpload('app')
      const { hostname, port } = new URL(registry.urls[0] ?? '')
      const request = httpRequest({ hostname, port, method: 'PATCH', path: location })
      request.on('error', () => {})
      request.write(bytes.subarray(0, 700_000))
      await sleep(300)
      request.destroy()
      let size = 0
      for (let i = 0; i < 100 && size === 0; i++) {
        await sleep(20)
        const { headers } = await client.expect(204, 'GET', location)
        size = Number(headers.range?.split('-')[1])
      }
      assert.equal(size, 699_999)
      const rest = bytes.subarray(size + 1)
      const headers = { 'content-range': `${size + 1}-999999` }
      await client.expect(202, 'PATCH', location, { body: rest, headers })
      assert.equal((await put(location, digestOf(bytes))).status, 201)
    })

    const digest = digestOf('x')
    const refused: readonly [
      string,
      number,
      string,
      string,
      (RequestOptions & { code?: string })?,
    ][] = [
      ['a digest that is none', 400, 'POST', '?digest=sha256:baddigeststring'],
      ['an unknown digest algorithm', 400, 'POST', `?digest=md5:${'0'.repeat(32)}`],
      ['upper-case hex', 400, 'POST', `?digest=sha256:${'A'.repeat(64)}`],
      ['sha512 with too few digits', 400, 'POST', `?digest=sha512:${'0'.repeat(64)}`],
      ['a digest that is a path', 400, 'POST', '?digest=sha256:../../x'],
      ['two digests', 400, 'POST', `?digest=${digest}&digest=${digest}`],
      ['an algorithm to come that is unknown', 400, 'POST', '?digest-algorithm=md5'],
      ['a mount from a name that is none', 400, 'POST', `?mount=${digest}&from=Bad..Name`],
    ]
    for (const [what, status, method, query] of refused) {
      it(`refuses to start an upload with ${what}`, async () => {
        await client.expect(status, method, `/v2/app/blobs/uploads/${query}`, { body: 'x' })
      })
    }

    it('refuses bytes whose place contradicts itself', async () => {
      const location = await client.startUpload('app')
      const cases: readonly [string, string, number, string][] = [
        ['bytes=0-4', 'hello', 400, 'BLOB_UPLOAD_INVALID'],
        ['4-0', 'hello', 400, 'BLOB_UPLOAD_INVALID'],
        ['0-', 'hello', 400, 'BLOB_UPLOAD_INVALID'],
        ['a-b', 'hello', 400, 'BLOB_UPLOAD_INVALID'],
        [`0-${'9'.repeat(20)}`, 'hello', 400, 'BLOB_UPLOAD_INVALID'],
        ['0-9', 'hello', 400, 'SIZE_INVALID'],
        ['0-3', 'hello', 400, 'SIZE_INVALID'],
      ]
      for (const [range, body, status, code] of cases) {
        const headers = { 'content-range': range }
        await client.expect(status, 'PATCH', location, { body, headers, code })
      }
      assert.equal((await client.expect(204, 'GET', location)).headers.range, '0-0')
      await client.expect(400, 'PUT', location, { code: 'DIGEST_INVALID' })
      await client.expect(400, 'PUT', `${location}?digest=nonsense`, { code: 'DIGEST_INVALID' })
      await client.expect(400, 'PUT', `${location}?digest=${digest}&digest=${digest}`)
      await client.expect(201, 'PUT', `${location}?digest=${digest}`, { body: 'x' })
    })

    it('counts the bytes of a stream against the place that it names', async () => {
      const cases: readonly [string, string][] = [
        ['0-9', '0-3'],
        ['0-2', '0-0'],
      ]
      for (const [named, standing] of cases) {
        const location = await client.startUpload('app')
        const body = piecesOf(Buffer.from('four'))
        const headers = { 'content-range': named }
        await client.expect(400, 'PATCH', location, { body, headers, code: 'SIZE_INVALID' })
        const status = await client.expect(204, 'GET', location)
        assert.equal(status.headers.range, standing)
        await client.expect(204, 'DELETE', location)
      }
    })

    it('knows no upload by a name that is no UUID', async () => {
      for (const id of ['x', '..', '%2e%2e', '0', 'A'.repeat(36), '%00']) {
        await client.expect(404, 'GET', `/v2/app/blobs/uploads/${id}`, {
          code: 'BLOB_UPLOAD_UNKNOWN',
        })
      }
    })
  })
}

function chunksOf(bytes: Buffer): [RequestOptions, RequestOptions] {
  const half = bytes.length >> 1
  return [
    { body: bytes.subarray(0, half), headers: { 'content-range': `0-${half - 1}` } },
    { body: bytes.subarray(half), headers: { 'content-range': `${half}-${bytes.length - 1}` } },
  ]
}
