import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { checkRegistry } from '#registry/check/check-registry.ts'
import { parseConfig } from '#registry/index.ts'
import { openObjectStore } from '#registry/storage/s3/object-store.ts'
import { type Ceph, startCeph } from '../support/ceph-rgw.ts'

describe('the check of a bucket', () => {
  let ceph: Ceph
  let bucket: string
  before(async () => {
    ceph = await startCeph()
    process.env.AWS_ACCESS_KEY_ID = ceph.credentials.accessKeyId
    process.env.AWS_SECRET_ACCESS_KEY = ceph.credentials.secretAccessKey
    bucket = await ceph.createBucket()
  })
  after(() => ceph.stop())

  async function outcomes(s3: object, more: object = {}) {
    const common = { bucket, endpoint: ceph.endpoint, pathStyle: true }
    const config = parseConfig({ env: {}, flags: { ...more, s3: { ...common, ...s3 } } })
    const { findings, isUsable, says } = await checkRegistry(config)
    const all = Object.fromEntries(findings.map(({ check, outcome }) => [check, outcome]))
    return { all, isUsable, says }
  }

  it('finds all that a registry needs on a good server, and leaves nothing there', async () => {
    const { all, isUsable, says } = await outcomes({ prefix: 'below/' })
    assert.deepEqual(all, {
      'create once': 'ok',
      'change if unchanged': 'ok',
      listing: 'ok',
      parts: 'ok',
      'aborted parts': 'ok',
      clock: 'ok',
      checksums: 'ok',
      'signed URLs': 'ok',
    })
    assert.ok(isUsable)
    assert.match(says, /s3\.redirect could send them/)
    const { credentials, endpoint } = ceph
    const options = { bucket, endpoint, credentials, region: 'us-east-1', pathStyle: true }
    const store = openObjectStore(options)
    assert.deepEqual(await store.list('', { limit: 100 }), [])
    assert.deepEqual(await store.listMultiparts(''), [])
    store.close()
  })

  it('needs URLs that clients can use only where clients are sent there', async () => {
    const publicEndpoint = 'http://127.0.0.1:9'
    const off = await outcomes({ publicEndpoint })
    assert.deepEqual([off.all['signed URLs'], off.isUsable], ['no', true])
    const on = await outcomes({ publicEndpoint, redirect: true })
    assert.deepEqual([on.all['signed URLs'], on.isUsable], ['failed', false])
    assert.match(on.says, /127\.0\.0\.1:9 can't be reached: correct s3\.publicEndpoint/)
  })

  it('asks a registry that never writes for reading alone', async () => {
    const { all, isUsable } = await outcomes({}, { readOnly: true })
    assert.deepEqual(all, { objects: 'ok', clock: 'ok' })
    assert.ok(isUsable)
  })

  it('goes no further when the bucket is missing, and says so', async () => {
    const { all, says } = await outcomes({ bucket: 'no-such-bucket' })
    assert.deepEqual(all, { 'create once': 'failed' })
    assert.match(says, /does not exist: create it/)
  })
})
