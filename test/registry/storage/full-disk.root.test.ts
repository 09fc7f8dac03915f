import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import type { UploadKey } from '#registry/storage/blob-driver.ts'
import { openFilesBlobDriver } from '#registry/storage/files/blob-driver.ts'
import { smallDisk } from '../../support/small-disk.ts'
import { piecesOf } from '../../support/streams.ts'

const MiB = 1024 * 1024

describe('uploads onto a disk that becomes full', () => {
  it('say so, keep what was acknowledged, and leave the rest of the room to others', async (t) => {
    const { dir } = smallDisk(t, '6m')
    const driver = await openFilesBlobDriver(dir)
    const [begun, other] = [randomUUID() as UploadKey, randomUUID() as UploadKey]
    const first = randomBytes(2 * MiB)
    await driver.createUpload(begun)
    await driver.append(begun, 0, piecesOf(first))
    await assert.rejects(driver.append(begun, first.length, piecesOf(randomBytes(8 * MiB))), {
      code: 'STORAGE_FAILED',
      message: /disk is full/,
    })
    assert.equal(await driver.uploadSize(begun), first.length)
    const small = randomBytes(3 * MiB)
    await driver.createUpload(other)
    await driver.append(other, 0, piecesOf(small))
    assert.equal(await driver.commit(other, digestOf(small)), small.length)
    assert.equal(await driver.commit(begun, digestOf(first)), first.length)
  })
})
