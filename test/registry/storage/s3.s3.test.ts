import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { digestOf } from '#oci/digest.ts'
import type { BlobDriver, UploadKey } from '#registry/storage/blob-driver.ts'
import { createS3BlobDriver } from '#registry/storage/s3/blob-driver.ts'
import { s3Layout } from '#registry/storage/s3/layout.ts'
import { type ObjectStore, openObjectStore } from '#registry/storage/s3/object-store.ts'
import { probeBucket } from '#registry/storage/s3/probe.ts'
import { createS3RecordDriver } from '#registry/storage/s3/record-driver.ts'
import { testBlobDriver } from '../../contract/blob-driver.ts'
import { testRecordDriver } from '../../contract/record-driver.ts'
import { type Ceph, startCeph } from '../../support/ceph-rgw.ts'
import { createSender } from '../../support/http.ts'
import { startS3FaultProxy } from '../../support/s3-fault-proxy.ts'
import { breakingAfter, collect, piecesOf } from '../../support/streams.ts'

const MiB = 1024 * 1024
const layout = s3Layout('some/prefix/')
let ceph: Ceph

before(async () => {
  ceph = await startCeph()
})
after(() => ceph.stop())

function optionsOf(bucket: string) {
  const { endpoint, credentials } = ceph
  return { bucket, endpoint, credentials, region: 'us-east-1', pathStyle: true }
}

/** Makes an object without bytes in a tenth of the time that the SDK takes. */
async function putUnsigned(path: string): Promise<void> {
  const { status } = await createSender([ceph.endpoint])('PUT', path)
  assert.equal(status, 200)
}

async function everything(store: ObjectStore): Promise<string[]> {
  const objects = await store.list('', { limit: 100_000 })
  const names = objects.map(async ({ key }) => {
    if (!key.startsWith(layout.uploads)) return key
    const state = await store.get(key)
    return Buffer.from(state?.bytes ?? '').includes('"ended"') ? `${key} (ended)` : key
  })
  const multiparts = await store.listMultiparts('')
  return [...(await Promise.all(names)), ...multiparts.map(({ key }) => `multipart ${key}`)]
}

testBlobDriver('blobs in S3', async () => {
  const bucket = await ceph.createBucket()
  const viewer = openObjectStore(optionsOf(bucket))
  return {
    open: async () => createS3BlobDriver(openObjectStore(optionsOf(bucket)), layout),
    contents: () => everything(viewer),
    dispose: async () => viewer.close(),
  }
})

testRecordDriver('records in S3', async () => {
  const bucket = await ceph.createBucket()
  return {
    open: async () => createS3RecordDriver(openObjectStore(optionsOf(bucket)), layout),
    dispose: async () => {},
  }
})

describe('large and many chunks in S3', () => {
  let store: ObjectStore
  let driver: BlobDriver
  let other: BlobDriver
  before(async () => {
    const options = optionsOf(await ceph.createBucket())
    store = openObjectStore(options)
    const sizes = { partSize: 5 * MiB, partsPerSegment: 2 }
    driver = createS3BlobDriver(store, layout, { sizes })
    other = createS3BlobDriver(openObjectStore(options), layout, { sizes })
  })
  after(async () => {
    await driver.close()
    await other.close()
  })

  const begin = async () => {
    const key = randomUUID() as UploadKey
    await driver.createUpload(key)
    return key
  }

  async function upload(bytes: Buffer, chunks: readonly number[]): Promise<void> {
    const key = await begin()
    let at = 0
    for (const [i, size] of chunks.entries()) {
      const via = i % 2 === 0 ? driver : other
      at = await via.append(key, at, piecesOf(bytes.subarray(at, at + size)))
    }
    await driver.commit(key, digestOf(bytes))
    const blob = await Array.fromAsync(await driver.read(digestOf(bytes)))
    assert.ok(bytes.equals(Buffer.concat(blob)))
  }

  for (const size of [1, 5 * MiB - 1, 5 * MiB, 5 * MiB + 1, 10 * MiB, 10 * MiB + 1, 25 * MiB + 3]) {
    it(`keeps a chunk of ${size} bytes between others`, async () => {
      await upload(randomBytes(size + 4), [1, size, 3])
    })

    it(`keeps a blob of ${size} bytes of known digest`, async () => {
      const bytes = randomBytes(size)
      await driver.put(digestOf(bytes), piecesOf(bytes))
      const range = { start: size >> 1, end: size - 1 }
      const read = await Array.fromAsync(await driver.read(digestOf(bytes), range))
      assert.ok(bytes.subarray(range.start).equals(Buffer.concat(read)))
    })
  }

  it('keeps few objects of an upload in many small chunks', async () => {
    // Thousands of them: many-chunks.test.ts
    const bytes = randomBytes(40 * 1024)
    const key = await begin()
    for (let at = 0; at < bytes.length; ) {
      at = await driver.append(key, at, piecesOf(bytes.subarray(at, at + 1024)))
    }
    const objects = await store.list(layout.data(key), { limit: 10_000 })
    assert.ok(objects.length < 16, `${objects.length} objects`)
    await other.commit(key, digestOf(bytes))
    assert.deepEqual(await driver.stat(digestOf(bytes)), { size: bytes.length })
    assert.equal((await store.list(layout.states(key), { limit: 10_000 })).length, 1)
  })

  it('lists and deletes more objects than one call of S3 takes', async () => {
    const bucket = await ceph.createBucket({ isPublic: true })
    const store = openObjectStore(optionsOf(bucket))
    const keys = Array.from({ length: 1001 }, (_, n) => `many/${String(n).padStart(4, '0')}`)
    const limit = pLimit(50)
    await Promise.all(keys.map((key) => limit(() => putUnsigned(`/${bucket}/${key}`))))
    const list = async (options: { readonly limit: number; readonly after?: string }) =>
      (await store.list('many/', options)).map(({ key }) => key)
    assert.deepEqual(await list({ limit: 10_000 }), keys)
    assert.deepEqual(await list({ limit: 1001, after: keys[0] ?? '' }), keys.slice(1))
    assert.deepEqual(await list({ limit: 1000 }), keys.slice(0, 1000))
    await store.delete(keys)
    assert.deepEqual(await list({ limit: 1 }), [])
    store.close()
  })

  it('leaves no part of a large upload whose digest is wrong or whose source breaks', async () => {
    const bytes = randomBytes(23 * MiB)
    const before = await everything(store)
    await assert.rejects(driver.put(digestOf('other'), piecesOf(bytes)), { code: 'DIGEST_INVALID' })
    await assert.rejects(driver.put(digestOf(bytes), breakingAfter(bytes)), /cut/)
    assert.deepEqual(await everything(store), before)
  })

  it('takes the memory of an upload that is slow when another one wants it', async () => {
    const narrow = createS3BlobDriver(store, layout, { partBuffers: 1, holdMs: 20 })
    const [slow, fast] = [randomBytes(6 * MiB), randomBytes(11 * MiB)]
    const isStored = Promise.withResolvers<void>()
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield slow.subarray(0, 1000)
      await isStored.promise
      yield* piecesOf(slow.subarray(1000))
    }
    const putting = narrow.put(digestOf(slow), slowly())
    await narrow.put(digestOf(fast), piecesOf(fast))
    isStored.resolve()
    assert.equal(await putting, slow.length)
    for (const bytes of [slow, fast]) {
      assert.ok(bytes.equals(await collect(await narrow.read(digestOf(bytes)))))
    }
  })

  it('shows a blob that another process deleted no longer than its stated time', async () => {
    const pointerTtlMs = 50
    const remembering = createS3BlobDriver(store, layout, { pointerTtlMs })
    const bytes = randomBytes(1000)
    await driver.put(digestOf(bytes), piecesOf(bytes))
    assert.deepEqual(await remembering.stat(digestOf(bytes)), { size: 1000 })
    await driver.delete(digestOf(bytes))
    assert.equal(await driver.stat(digestOf(bytes)), undefined)
    await sleep(pointerTtlMs + 1)
    assert.equal(await remembering.stat(digestOf(bytes)), undefined)
  })

  it('finishes the commit of a process that died after it had decided', async () => {
    const bytes = randomBytes(1000)
    const digest = digestOf(bytes)
    const key = await begin()
    await driver.append(key, 0, piecesOf(bytes))
    await driver.commit(key, digest)
    await store.delete([layout.pointer(digest)])
    await other.expireUploads(-60_000)
    assert.deepEqual(await driver.stat(digest), { size: 1000 })
    const read = await Array.fromAsync(await other.read(digest))
    assert.ok(bytes.equals(Buffer.concat(read)))
  })

  it('never brings a deleted blob back by a late commit', async () => {
    const bytes = randomBytes(1000)
    const key = await begin()
    await driver.append(key, 0, piecesOf(bytes))
    await driver.commit(key, digestOf(bytes))
    assert.equal(await other.commit(key, digestOf(bytes)), 1000)
    await driver.delete(digestOf(bytes))
    await assert.rejects(other.commit(key, digestOf(bytes)), { code: 'BLOB_UPLOAD_UNKNOWN' })
    assert.equal(await driver.stat(digestOf(bytes)), undefined)
  })

  it('forgets ended uploads and unfinished parts when they have expired', async () => {
    const key = await begin()
    await driver.append(key, 0, piecesOf(randomBytes(10)))
    await store.startMultipart(`${layout.data(key)}unfinished`)
    await driver.expireUploads(-60_000)
    await driver.expireUploads(-60_000)
    assert.deepEqual(await store.list(layout.uploads, { limit: 10 }), [])
    assert.deepEqual(await store.listMultiparts(''), [])
  })
})

describe('S3 behind a bad network', () => {
  it('takes a write whose answer was lost for done', async () => {
    const seen = new Set<string>()
    const proxy = await startS3FaultProxy(ceph.endpoint, {
      faultOf({ method, url }) {
        const isFirst = !seen.has(`${method} ${url}`)
        seen.add(`${method} ${url}`)
        return isFirst && method !== 'GET' && method !== 'HEAD' ? 'lose-answer' : undefined
      },
    })
    const store = openObjectStore({ ...optionsOf(await ceph.createBucket()), endpoint: proxy.url })
    const driver = createS3BlobDriver(store, layout, {
      sizes: { partSize: 5 * MiB, partsPerSegment: 2 },
    })
    const records = createS3RecordDriver(store, layout)
    const bytes = randomBytes(12 * MiB)
    const key = randomUUID() as UploadKey
    await driver.createUpload(key)
    const size = await driver.append(key, 0, piecesOf(bytes.subarray(0, 6 * MiB)))
    await driver.append(key, size, piecesOf(bytes.subarray(size)))
    await driver.commit(key, digestOf(bytes))
    await driver.put(digestOf('small'), piecesOf(Buffer.from('small')))
    const read = await Array.fromAsync(await driver.read(digestOf(bytes)))
    assert.ok(bytes.equals(Buffer.concat(read)))
    assert.deepEqual(await driver.stat(digestOf('small')), { size: 5 })
    await records.put('key', Buffer.from('one'), { ifAbsent: true })
    const version = (await records.get('key'))?.version ?? ''
    await records.put('key', Buffer.from('two'), { ifVersion: version })
    await assert.rejects(records.put('key', Buffer.from('two'), { ifAbsent: true }), {
      code: 'RECORD_CONFLICT',
    })
    store.close()
    await proxy.stop()
  })

  it('goes on reading where a connection broke, and gives up in the end', async () => {
    let cuts = 2
    const proxy = await startS3FaultProxy(ceph.endpoint, {
      faultOf({ method, url }) {
        if (method !== 'GET' || !url.includes('/data/') || cuts === 0) return undefined
        cuts--
        return { truncateAfter: 100_000 }
      },
    })
    const store = openObjectStore({ ...optionsOf(await ceph.createBucket()), endpoint: proxy.url })
    const driver = createS3BlobDriver(store, layout)
    const bytes = randomBytes(MiB)
    await driver.put(digestOf(bytes), piecesOf(bytes))
    const read = await Array.fromAsync(await driver.read(digestOf(bytes)))
    assert.ok(bytes.equals(Buffer.concat(read)))
    assert.equal(cuts, 0)
    cuts = 100
    const reading = driver.read(digestOf(bytes)).then((source) => Array.fromAsync(source))
    await assert.rejects(reading, { code: 'STORAGE_FAILED' })
    store.close()
    await proxy.stop()
  })
})

describe('the check of a bucket', () => {
  const probe = (bucket: string, changes = {}) =>
    probeBucket({
      ...optionsOf(bucket),
      prefix: '',
      redirect: false,
      redirectTtlMs: 60_000,
      redirectMinBytes: 0,
      ...changes,
    })

  it('passes on a bucket that honours conditional writes, and leaves nothing there', async () => {
    const bucket = await ceph.createBucket()
    await probe(bucket)
    const store = openObjectStore(optionsOf(bucket))
    assert.deepEqual(await everything(store), [])
    store.close()
  })

  it('says that a bucket does not exist', async () => {
    await assert.rejects(probe('no-such-bucket'), { code: 'CONFIG_INVALID', message: /create it/ })
  })

  it('says that credentials are refused', async () => {
    const credentials = { accessKeyId: 'dray-test', secretAccessKey: 'wrong' }
    const bucket = await ceph.createBucket()
    await assert.rejects(probe(bucket, { credentials }), {
      code: 'CONFIG_INVALID',
      message: /AWS_SECRET_ACCESS_KEY/,
    })
  })

  it('refuses a server that ignores conditions', async () => {
    const server = createServer((request, response) => {
      request.resume()
      request.on('end', () => response.writeHead(200, { ETag: '"x"' }).end())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    try {
      await assert.rejects(probe('any', { endpoint: `http://127.0.0.1:${port}` }), {
        code: 'CONFIG_INVALID',
        message: /If-None-Match/,
      })
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})
