import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryFixture,
  type StartRegistry,
} from './fixture.ts'

const CLIENTS = 20

/** Registers the tests of many clients who want the same thing, spread over all replicas. */
export function testRaces(name: string, start: StartRegistry): void {
  describe(`${CLIENTS} clients at once of ${name}`, () => {
    let registry: RegistryFixture
    let client: RegistryClient
    before(async () => {
      registry = await start()
      client = createRegistryClient(registry.urls)
    })
    after(() => registry.stop())

    const all = <T>(work: (n: number) => Promise<T>) =>
      Promise.all(Array.from({ length: CLIENTS }, (_, n) => work(n)))
    const manifest = (n: number) =>
      Buffer.from(
        JSON.stringify({
          ...{ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] },
          annotations: { n: String(n) },
        }),
      )
    const read = async (path: string) => (await client.expect(200, 'GET', path)).body

    it('all give one tag, which stands for what one of them pushed; every manifest stays', async () => {
      const path = '/v2/tag/manifests/latest'
      await all((n) => client.expect(201, 'PUT', path, { body: manifest(n) }))
      const bodies = await all((n) => read(`/v2/tag/manifests/${digestOf(manifest(n))}`))
      for (const [n, body] of bodies.entries()) assert.ok(manifest(n).equals(body))
      const seen = await all(() => read(path))
      assert.equal(new Set(seen.map(String)).size, 1)
      assert.ok(bodies.some((body) => seen[0]?.equals(body)))
      const { tags } = JSON.parse((await read('/v2/tag/tags/list')).toString())
      assert.deepEqual(tags, ['latest'])
    })

    it('give and delete one manifest by its tag, which never leads nowhere', async () => {
      const digest = digestOf(manifest(0))
      const path = '/v2/end/manifests/v1'
      await client.expect(201, 'PUT', path, { body: manifest(0) })
      const answers = await all((n) =>
        n % 2 === 0
          ? client.send('PUT', path, { body: manifest(0) })
          : client.send('DELETE', `/v2/end/manifests/${digest}`),
      )
      for (const [n, { status }] of answers.entries()) {
        assert.ok(n % 2 === 0 ? status === 201 : [202, 404].includes(status), `${n}: ${status}`)
      }
      const { tags } = JSON.parse((await read('/v2/end/tags/list')).toString())
      const { status } = await client.send('GET', path)
      assert.equal(status, tags.length === 0 ? 404 : 200)
    })

    it('all push one blob, by every form, of which one copy is kept', async () => {
      const bytes = randomBytes(200_000)
      const digest = digestOf(bytes)
      await client.pushBlob('blob', 'something else')
      const before = new Set(await registry.contents())
      const statuses = await all(async (n) => {
        const query = `?digest=${digest}`
        if (n % 3 === 0) {
          return client.send('POST', `/v2/blob/blobs/uploads/${query}`, { body: bytes })
        }
        const location = await client.startUpload('blob')
        if (n % 3 === 1) return client.send('PUT', location + query, { body: bytes })
        await client.expect(202, 'PATCH', location, { body: bytes })
        return client.send('PUT', location + query)
      })
      assert.deepEqual(new Set(statuses.map(({ status }) => status)), new Set([201]))
      assert.ok(bytes.equals(await read(`/v2/blob/blobs/${digest}`)))
      const added = (await registry.contents()).filter((key) => !before.has(key))
      assert.equal(added.length, await namesOfOneBlob(), added.join('\n'))
    })

    /** How many names a blob adds to a store when one client pushes it. */
    async function namesOfOneBlob(): Promise<number> {
      const before = new Set(await registry.contents())
      await client.pushBlob('blob', randomBytes(200_000))
      return (await registry.contents()).filter((key) => !before.has(key)).length
    }

    it('all add to one upload at one place, where one of them does', async () => {
      const location = await client.startUpload('upload')
      const offers = Array.from({ length: CLIENTS }, () => randomBytes(40_000))
      const headers = { 'content-range': '0-39999' }
      const answers = await all((n) =>
        client.send('PATCH', location, { headers, body: offers[n] ?? '' }),
      )
      const statuses = answers.map(({ status }) => status)
      assert.deepEqual(statuses.toSorted(), [202, ...Array(CLIENTS - 1).fill(416)])
      const winner = offers[statuses.indexOf(202)] ?? Buffer.alloc(0)
      const digest = digestOf(winner)
      await client.expect(201, 'PUT', `${location}?digest=${digest}`)
      assert.ok(winner.equals(await read(`/v2/upload/blobs/${digest}`)))
    })

    it('all finish one upload, of which one blob comes', async () => {
      const bytes = randomBytes(50_000)
      const location = await client.startUpload('finish')
      await client.expect(202, 'PATCH', location, { body: bytes })
      const digest = digestOf(bytes)
      const answers = await all(() => client.send('PUT', `${location}?digest=${digest}`))
      const statuses = new Set(answers.map(({ status }) => status))
      statuses.delete(416)
      assert.deepEqual([...statuses], [201])
      await client.expect(201, 'PUT', `${location}?digest=${digest}`)
      assert.ok(bytes.equals(await read(`/v2/finish/blobs/${digest}`)))
    })

    it('add to an upload and finish it, without mixing up bytes', async () => {
      const first = randomBytes(50_000)
      const rest = randomBytes(50_000)
      const location = await client.startUpload('mix')
      await client.expect(202, 'PATCH', location, { body: first })
      const digest = digestOf(first)
      const headers = { 'content-range': '50000-99999' }
      const [finished] = await Promise.all([
        client.send('PUT', `${location}?digest=${digest}`),
        client.send('PATCH', location, { headers, body: rest }),
        client.send('PATCH', location, { headers, body: rest }),
      ])
      assert.ok([201, 400, 416].includes(finished.status), String(finished.status))
      const found = await client.send('GET', `/v2/mix/blobs/${digest}`)
      assert.equal(found.status, finished.status === 201 ? 200 : 404)
      if (found.status === 200) assert.ok(first.equals(found.body))
    })
  })
}
