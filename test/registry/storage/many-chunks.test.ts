import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import type { UploadKey } from '#registry/storage/blob-driver.ts'
import { createS3BlobDriver } from '#registry/storage/s3/blob-driver.ts'
import { s3Layout } from '#registry/storage/s3/layout.ts'
import { SEGMENT_SIZES } from '#registry/storage/s3/segment-writer.ts'
import { createMemoryObjectStore } from '../../support/memory-object-store.ts'
import { collect, piecesOf } from '../../support/streams.ts'

/** S3 takes no more of an object. */
const MOST_PARTS = 10_000
const layout = s3Layout('')

describe('a bucket', () => {
  it(`keeps few objects of a blob in ${MOST_PARTS + 1} chunks of one byte`, async () => {
    const store = createMemoryObjectStore()
    const [driver, other] = [createS3BlobDriver(store, layout), createS3BlobDriver(store, layout)]
    const bytes = randomBytes(MOST_PARTS + 1)
    const key = randomUUID() as UploadKey
    await driver.createUpload(key)
    for (let at = 0; at < bytes.length; ) {
      at = await driver.append(key, at, piecesOf(bytes.subarray(at, at + 1)))
    }
    const count = async (prefix: string) => (await store.list(prefix, { limit: 100_000 })).length
    assert.ok((await count(layout.data(key))) <= 48)
    await other.commit(key, digestOf(bytes))
    assert.equal(await count(layout.states(key)), 1)
    assert.ok(bytes.equals(await collect(await driver.read(digestOf(bytes)))))
  })

  it(`begins another object before one has ${MOST_PARTS} parts`, async () => {
    const store = createMemoryObjectStore()
    const numbers: number[] = []
    const putPart: typeof store.putPart = (key, uploadId, number, bytes) => {
      numbers.push(number)
      return store.putPart(key, uploadId, number, bytes)
    }
    const sizes = { ...SEGMENT_SIZES, partSize: 16 }
    const driver = createS3BlobDriver({ ...store, putPart }, layout, { sizes })
    const bytes = randomBytes(16 * (MOST_PARTS + 1))
    await driver.put(digestOf(bytes), piecesOf(bytes))
    assert.ok(numbers.length > MOST_PARTS)
    assert.ok(Math.max(...numbers) <= MOST_PARTS)
    assert.ok(bytes.equals(await collect(await driver.read(digestOf(bytes)))))
  })
})
