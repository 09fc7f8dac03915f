import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { appendFile, mkdtemp, readdir, rename, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import type { UploadKey } from '#registry/storage/blob-driver.ts'
import { openFilesBlobDriver } from '#registry/storage/files/blob-driver.ts'
import { openSqliteRecordDriver } from '#registry/storage/sqlite-record-driver.ts'
import { testBlobDriver } from '../../contract/blob-driver.ts'
import { testRecordDriver } from '../../contract/record-driver.ts'
import { piecesOf } from '../../support/streams.ts'

const newDir = () => mkdtemp(join(tmpdir(), 'dray-files-'))

testBlobDriver('blobs in files', async () => {
  const dir = await newDir()
  return {
    open: () => openFilesBlobDriver(dir),
    async contents() {
      const entries = await readdir(dir, { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => entry.isFile() || entry.parentPath.endsWith('uploads'))
        .map((entry) => join(entry.parentPath, entry.name))
    },
    dispose: () => rm(dir, { recursive: true }),
  }
})

testRecordDriver('records in SQLite', async () => {
  const dir = await newDir()
  return {
    open: async () => openSqliteRecordDriver(join(dir, 'sub', 'records.sqlite')),
    dispose: () => rm(dir, { recursive: true }),
  }
})

it('what a registry makes in a directory is for its own user alone', async () => {
  const dir = await newDir()
  const dataDir = join(dir, 'data')
  const content = await openFilesBlobDriver(dataDir)
  const records = openSqliteRecordDriver(join(dataDir, 'records.sqlite'))
  await records.put('key', Buffer.from('secret'))
  for (const name of ['', 'records.sqlite', 'records.sqlite-wal', 'records.sqlite-shm']) {
    const { mode } = await stat(join(dataDir, name))
    assert.equal(mode & 0o077, 0, name)
  }
  await records.close()
  await content.close()
  await rm(dir, { recursive: true })
})

describe('uploads in files after a crash', () => {
  const bytes = randomBytes(20_000)

  async function crashed(written: number): Promise<{ dir: string; key: UploadKey }> {
    const dir = await newDir()
    const driver = await openFilesBlobDriver(dir)
    const key = randomUUID() as UploadKey
    await driver.createUpload(key)
    await driver.append(key, 0, piecesOf(bytes.subarray(0, written)))
    return { dir, key }
  }

  it('takes an upload back from a process that was killed while it wrote', async () => {
    const { dir, key } = await crashed(15_000)
    const dead = execFileSync('sh', ['-c', 'echo $$']).toString().trim()
    const upload = join(dir, 'uploads', key)
    await rename(join(upload, '15000'), join(upload, `10000.${dead}-12345-00`))
    const driver = await openFilesBlobDriver(dir)
    assert.equal(await driver.uploadSize(key), 15_000)
    await driver.append(key, 15_000, piecesOf(bytes.subarray(15_000)))
    await driver.commit(key, digestOf(bytes))
    await rm(dir, { recursive: true })
  })

  it('leaves an upload alone that a living process is writing to', async () => {
    const { dir, key } = await crashed(15_000)
    const stat = execFileSync('sh', ['-c', `cat /proc/${process.pid}/stat`]).toString()
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    const upload = join(dir, 'uploads', key)
    await rename(join(upload, '15000'), join(upload, `15000.${process.pid}-${start}-00`))
    const driver = await openFilesBlobDriver(dir)
    assert.equal(await driver.uploadSize(key), 15_000)
    await assert.rejects(driver.append(key, 15_000, piecesOf(bytes)), {
      code: 'UPLOAD_OUT_OF_ORDER',
    })
    await driver.expireUploads(0)
    assert.equal(await driver.uploadSize(key), 15_000)
    await rm(dir, { recursive: true })
  })

  it('drops what a failed write left behind the counted bytes', async () => {
    const { dir, key } = await crashed(15_000)
    await appendFile(join(dir, 'uploads', key, '15000'), randomBytes(10_000))
    const driver = await openFilesBlobDriver(dir)
    await driver.append(key, 15_000, piecesOf(bytes.subarray(15_000, 15_001)))
    await driver.append(key, 15_001, piecesOf(bytes.subarray(15_001)))
    await driver.commit(key, digestOf(bytes))
    assert.deepEqual(await driver.stat(digestOf(bytes)), { size: bytes.length })
    await rm(dir, { recursive: true })
  })

  it('goes on from what is there when a power failure took bytes that were acknowledged', async () => {
    const { dir, key } = await crashed(15_000)
    await truncate(join(dir, 'uploads', key, '15000'), 8000)
    const driver = await openFilesBlobDriver(dir)
    await assert.rejects(driver.append(key, 15_000, piecesOf(bytes)), {
      code: 'UPLOAD_OUT_OF_ORDER',
    })
    assert.equal(await driver.uploadSize(key), 8000)
    await driver.append(key, 8000, piecesOf(bytes.subarray(8000)))
    await driver.commit(key, digestOf(bytes))
    await rm(dir, { recursive: true })
  })
})

describe('files of a read-only or missing place', () => {
  it('says that the storage failed', async () => {
    const dir = await newDir()
    const driver = await openFilesBlobDriver(dir)
    await rm(join(dir, 'uploads'), { recursive: true })
    await assert.rejects(driver.createUpload(randomUUID() as UploadKey), { code: 'STORAGE_FAILED' })
    await rm(dir, { recursive: true })
  })
})
