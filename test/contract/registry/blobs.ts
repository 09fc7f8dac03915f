import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

/** Registers the tests of reading blobs of a registry. */
export function testBlobs(name: string, start: StartRegistry): void {
  describe(`reading blobs of ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

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

    it('serves ranges that overlap, and none of a blob without bytes', async () => {
      const path = `/v2/blobs/blobs/${await client.pushBlob('blobs', 'overlapping')}`
      const overlapping = { range: 'bytes=0-4,2-6' }
      const parts = await client.expect(206, 'GET', path, { headers: overlapping })
      assert.match(parts.body.toString(), /\r\n\r\noverl\r\n.*\r\n\r\nerlap\r\n/s)
      const all = { range: 'bytes=0-,0-,0-' }
      const whole = await client.expect(200, 'GET', path, { headers: all })
      assert.equal(whole.body.toString(), 'overlapping')
      const empty = `/v2/blobs/blobs/${await client.pushBlob('blobs', '')}`
      for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
        const { headers } = await client.expect(416, 'GET', empty, { headers: { range } })
        assert.equal(headers['content-range'], 'bytes */0')
      }
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
  })
}
