import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { type ConfigDocument, parseConfig, type Storage, startRegistry } from '#registry/index.ts'
import { createS3BlobDriver } from '#registry/storage/s3/blob-driver.ts'
import { s3Layout } from '#registry/storage/s3/layout.ts'
import { type ObjectStore, openObjectStore } from '#registry/storage/s3/object-store.ts'
import { createS3RecordDriver } from '#registry/storage/s3/record-driver.ts'
import { testClosedReplicas } from '../contract/registry/closed-replicas.ts'
import { createRegistryClient, type RegistryFixture } from '../contract/registry/fixture.ts'
import { testRegistry } from '../contract/registry/registry.ts'
import { type Ceph, startCeph } from '../support/ceph-rgw.ts'

let ceph: Ceph
before(async () => {
  ceph = await startCeph()
})
after(() => ceph.stop())

const layout = s3Layout('')

function openBucket(bucket: string): Storage & { readonly store: ObjectStore } {
  const { endpoint, credentials } = ceph
  const options = { bucket, endpoint, credentials, region: 'us-east-1', pathStyle: true }
  const store = openObjectStore(options)
  const content = createS3BlobDriver(store, layout)
  return { store, content, records: createS3RecordDriver(store, layout) }
}

async function replicas(flags: ConfigDocument = {}): Promise<RegistryFixture> {
  const bucket = await ceph.createBucket()
  const config = parseConfig({ env: {}, flags: { ...flags, listen: '127.0.0.1:0' } })
  const start = () => startRegistry(config, { storage: openBucket(bucket) })
  const registries = [await start(), await start()]
  const { store: viewer } = openBucket(bucket)
  return {
    urls: registries.map(({ url }) => url),
    async contents() {
      const objects = await viewer.list('', { limit: 100_000 })
      // Markers of ended uploads stay until these would have expired.
      const kept = objects.filter(({ key }) => !key.startsWith(layout.uploads))
      const multiparts = await viewer.listMultiparts('')
      return [...kept, ...multiparts].map(({ key }) => key)
    },
    async stop() {
      for (const registry of registries) await registry.close()
      viewer.close()
    },
  }
}

testRegistry('two replicas on one bucket', replicas)
testClosedReplicas('two replicas on one bucket', async () => {
  const bucket = await ceph.createBucket()
  return { open: async () => openBucket(bucket), remove: async () => {} }
})

it('a registry finds its bucket by its configuration, and its credentials in the environment', async () => {
  process.env.AWS_ACCESS_KEY_ID = ceph.credentials.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = ceph.credentials.secretAccessKey
  const bucket = await ceph.createBucket()
  const s3 = { bucket, endpoint: ceph.endpoint, pathStyle: true, prefix: 'images/' }
  const registry = await startRegistry(
    parseConfig({ env: {}, flags: { listen: '127.0.0.1:0', s3 } }),
  )
  const client = createRegistryClient([registry.url])
  const { bytes } = await client.pushImage('app', 'v1', 'configured')
  const { body } = await client.expect(200, 'GET', '/v2/app/manifests/v1')
  assert.ok(bytes.equals(body))
  await registry.close()
})
