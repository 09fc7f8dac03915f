import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { parseConfig, startRegistry } from '#registry/index.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { createRegistryClient } from '../contract/registry/fixture.ts'

const start = async (flags: object) => {
  const storage = { content: createMemoryBlobDriver(), records: createMemoryRecordDriver() }
  const serve = async (more: object) => {
    const document = { listen: '127.0.0.1:0', ...more }
    const registry = await startRegistry(parseConfig({ env: {}, flags: document }), { storage })
    return { registry, client: createRegistryClient([registry.url]) }
  }
  const writing = await serve({})
  const other = await serve(flags)
  const keys = () => storage.records.list('', { limit: 1000 })
  const stop = async () => {
    await writing.registry.close()
    await other.registry.close()
  }
  return { writer: writing.client, client: other.client, keys, stop }
}

it('a read-only registry serves what is there and refuses every change', async () => {
  const { writer, client, keys, stop } = await start({ readOnly: true })
  const { digest, layer } = await writer.pushImage('app', 'v1', 'image')
  const upload = await writer.startUpload('app')
  const before = await keys()
  for (const path of [
    '/v2/',
    '/v2/_catalog',
    '/v2/app/tags/list',
    '/v2/app/manifests/v1',
    `/v2/app/blobs/${layer}`,
    `/v2/app/referrers/${digest}`,
  ]) {
    await client.expect(200, 'GET', path)
  }
  await client.expect(200, 'HEAD', `/v2/app/blobs/${layer}`)
  await client.expect(204, 'GET', upload)
  const body = 'x'.repeat(100_000)
  for (const [method, path] of [
    ['POST', '/v2/app/blobs/uploads/'],
    ['POST', `/v2/app/blobs/uploads/?digest=${digestOf(body)}`],
    ['POST', `/v2/other/blobs/uploads/?mount=${layer}&from=app`],
    ['PATCH', upload],
    ['PUT', `${upload}?digest=${digestOf(body)}`],
    ['DELETE', upload],
    ['PUT', '/v2/app/manifests/v2'],
    ['DELETE', '/v2/app/manifests/v1'],
    ['DELETE', `/v2/app/manifests/${digest}`],
    ['DELETE', `/v2/app/blobs/${layer}`],
  ] as const) {
    const answer = await client.expect(405, method, path, { body, code: 'UNSUPPORTED' })
    assert.equal(answer.headers.allow, 'GET, HEAD')
  }
  assert.deepEqual(await keys(), before)
  await writer.expect(204, 'DELETE', upload)
  await stop()
})

it('a registry tells its warnings with every answer, as the specification frames them', async () => {
  const warnings = ['This registry moves to "other" \\ soon.', 'Second.']
  const { writer, client, stop } = await start({ warnings })
  const expected = '299 - "This registry moves to \\"other\\" \\\\ soon.", 299 - "Second."'
  for (const [status, path] of [
    [200, '/v2/'],
    [404, '/v2/app/manifests/v1'],
    [404, '/nowhere'],
  ] as const) {
    const { headers } = await client.expect(status, 'GET', path)
    assert.equal(headers.warning, expected)
  }
  assert.equal((await writer.expect(200, 'GET', '/v2/')).headers.warning, undefined)
  await stop()
})
