import { execFileSync } from 'node:child_process'
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import type { UploadKey } from '#registry/storage/blob-driver.ts'
import { openFilesBlobDriver } from '#registry/storage/files/blob-driver.ts'
import { checkRegistry } from '#registry/check/check-registry.ts'
import { parseConfig, startRegistry } from '#registry/index.ts'
import { createRegistryClient } from '../../contract/registry/fixture.ts'
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

describe('a directory on a disk that is mounted read-only', () => {
  it('is served by a registry that is readOnly, and refused by others, which say why', async (t) => {
    const { dir } = smallDisk(t, '6m')
    const remount = (how: string) => execFileSync('mount', ['-o', `remount,${how}`, dir])
    const config = (readOnly: boolean) =>
      parseConfig({ env: {}, flags: { listen: '127.0.0.1:0', dataDir: dir, readOnly } })
    const writing = await startRegistry(config(false))
    const { layer } = await createRegistryClient([writing.url]).pushImage('app', 'v1', 'image')
    await writing.close()
    remount('ro')
    try {
      const says = async (readOnly: boolean) => (await checkRegistry(config(readOnly))).says
      assert.match(await says(false), /EROFS/)
      assert.match(await says(true), /can be used/)
      await assert.rejects(startRegistry(config(false)), {
        code: 'CONFIG_INVALID',
        message: /EROFS: read-only file system/,
      })
      const reading = await startRegistry(config(true))
      const client = createRegistryClient([reading.url])
      await client.expect(200, 'GET', '/v2/app/manifests/v1')
      await client.expect(200, 'GET', `/v2/app/blobs/${layer}`)
      await reading.close()
    } finally {
      remount('rw')
    }
  })
})
