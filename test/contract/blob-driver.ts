import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Digest, digestOf } from '#oci/digest.ts'
import type { BlobDriver, UploadKey } from '#registry/storage/blob-driver.ts'
import { breakingAfter, collect, overwriting, piecesOf } from '../support/streams.ts'

/** One store under test. */
export interface BlobStoreFixture {
  /** Opens the store as another process would. */
  open(): Promise<BlobDriver>
  /** Names of everything that the store holds, if that can be told. */
  contents?(): Promise<readonly string[]>
  /** Removes the store. */
  dispose(): Promise<void>
}

const MiB = 1024 * 1024

/** Registers the tests that every `BlobDriver` must pass. */
export function testBlobDriver(name: string, createStore: () => Promise<BlobStoreFixture>): void {
  describe(name, () => {
    let store: BlobStoreFixture
    let driver: BlobDriver
    let other: BlobDriver

    before(async () => {
      store = await createStore()
      driver = await store.open()
      other = await store.open()
    })
    after(async () => {
      await driver.close()
      await other.close()
      await store.dispose()
    })

    const contents = async () => [...((await store.contents?.()) ?? [])].sort()
    const begin = async () => {
      const key = newKey()
      await driver.createUpload(key)
      return key
    }
    const read = async (digest: Digest, start?: number, end?: number) => {
      const range = start === undefined || end === undefined ? undefined : { start, end }
      return collect(await driver.read(digest, range))
    }

    it('is done with a chunk when it asks for the next one', async () => {
      const bytes = randomBytes(MiB + 17)
      const digest = digestOf(bytes)
      await driver.put(digest, overwriting(piecesOf(bytes)))
      assert.ok(bytes.equals(await read(digest)))
      await driver.delete(digest)
      const key = await begin()
      const at = await driver.append(key, 0, overwriting(piecesOf(bytes.subarray(0, 100_000))))
      await driver.append(key, at, overwriting(piecesOf(bytes.subarray(at))))
      await driver.commit(key, digest)
      assert.ok(bytes.equals(await read(digest)))
    })

    it('gives back a blob that was uploaded in pieces, whole and by range', async () => {
      const bytes = randomBytes(3 * MiB + 17)
      const key = await begin()
      assert.equal(await driver.uploadSize(key), 0)
      assert.equal(await driver.append(key, 0, piecesOf(bytes.subarray(0, 1000))), 1000)
      assert.equal(await driver.uploadSize(key), 1000)
      assert.equal(await driver.append(key, 1000, piecesOf(bytes.subarray(1000))), bytes.length)
      const digest = digestOf(bytes)
      assert.equal(await driver.stat(digest), undefined)
      assert.equal(await driver.commit(key, digest), bytes.length)
      assert.deepEqual(await driver.stat(digest), { size: bytes.length })
      assert.ok(bytes.equals(await read(digest)))
      assert.ok(bytes.subarray(0, 1).equals(await read(digest, 0, 0)))
      assert.ok(bytes.subarray(900, 1101).equals(await read(digest, 900, 1100)))
      assert.ok(bytes.subarray(2 * MiB).equals(await read(digest, 2 * MiB, bytes.length - 1)))
      assert.equal(await driver.uploadSize(key), undefined)
      assert.equal(await other.uploadSize(key), undefined)
    })

    it('stores a blob without bytes', async () => {
      const digest = digestOf('')
      await driver.commit(await begin(), digest)
      assert.deepEqual(await driver.stat(digest), { size: 0 })
      assert.equal((await read(digest)).length, 0)
      const digest512 = digestOf('', 'sha512')
      assert.equal(await driver.put(digest512, piecesOf(Buffer.alloc(0))), 0)
      assert.deepEqual(await other.stat(digest512), { size: 0 })
    })

    it('takes a sha512 digest that is known only at the end', async () => {
      const bytes = randomBytes(100_000)
      const key = await begin()
      await driver.append(key, 0, piecesOf(bytes))
      const digest = digestOf(bytes, 'sha512')
      await driver.commit(key, digest)
      assert.ok(bytes.equals(await read(digest)))
    })

    it('stores a blob of known digest in one go', async () => {
      const bytes = randomBytes(200_000)
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const digest = digestOf(bytes, algorithm)
        assert.equal(await driver.put(digest, piecesOf(bytes)), bytes.length)
        assert.ok(bytes.equals(await read(digest)))
        const stored = await contents()
        assert.equal(await other.put(digest, piecesOf(bytes)), bytes.length)
        assert.deepEqual(await contents(), stored)
      }
    })

    it('leaves nothing behind when the bytes of a put have another digest', async () => {
      const bytes = randomBytes(50_000)
      const digest = digestOf('something else')
      const before = await contents()
      await rejects(driver.put(digest, piecesOf(bytes)), 'DIGEST_INVALID')
      assert.equal(await driver.stat(digest), undefined)
      assert.deepEqual(await contents(), before)
    })

    it('leaves nothing behind when the source of a put breaks', async () => {
      const bytes = randomBytes(50_000)
      const before = await contents()
      await assert.rejects(
        driver.put(digestOf(bytes), breakingAfter(bytes.subarray(0, 40_000))),
        /cut/,
      )
      assert.equal(await driver.stat(digestOf(bytes)), undefined)
      assert.deepEqual(await contents(), before)
    })

    it('ends an upload whose bytes have another digest, and leaves nothing of it', async () => {
      const before = await contents()
      const key = await begin()
      await driver.append(key, 0, piecesOf(randomBytes(10_000)))
      await rejects(driver.commit(key, digestOf('something else')), 'DIGEST_INVALID')
      assert.equal(await driver.uploadSize(key), undefined)
      assert.equal(await other.uploadSize(key), undefined)
      assert.deepEqual(withoutEnded(await contents()), withoutEnded(before))
    })

    it('leaves nothing of an aborted upload, and aborts twice', async () => {
      const before = await contents()
      const key = await begin()
      await driver.append(key, 0, piecesOf(randomBytes(10_000)))
      await driver.abort(key)
      await driver.abort(key)
      assert.equal(await driver.uploadSize(key), undefined)
      assert.equal(await other.uploadSize(key), undefined)
      await rejects(driver.append(key, 10_000, piecesOf(Buffer.from('x'))), 'BLOB_UPLOAD_UNKNOWN')
      await rejects(other.append(key, 0, piecesOf(Buffer.from('x'))), 'BLOB_UPLOAD_UNKNOWN')
      await rejects(driver.commit(key, digestOf('')), 'BLOB_UPLOAD_UNKNOWN')
      assert.deepEqual(withoutEnded(await contents()), withoutEnded(before))
    })

    it('knows no upload and no blob that was never made', async () => {
      const key = newKey()
      assert.equal(await driver.uploadSize(key), undefined)
      await rejects(driver.append(key, 0, piecesOf(Buffer.from('x'))), 'BLOB_UPLOAD_UNKNOWN')
      await rejects(driver.commit(key, digestOf('x')), 'BLOB_UPLOAD_UNKNOWN')
      await rejects(driver.read(digestOf('never made')), 'BLOB_UNKNOWN')
      assert.equal(await driver.stat(digestOf('never made')), undefined)
      await driver.delete(digestOf('never made'))
    })

    it('refuses bytes that do not continue the upload, and keeps what it has', async () => {
      const bytes = randomBytes(3000)
      const key = await begin()
      await driver.append(key, 0, piecesOf(bytes.subarray(0, 1000)))
      for (const offset of [0, 999, 1001, 5000]) {
        await rejects(driver.append(key, offset, piecesOf(bytes)), 'UPLOAD_OUT_OF_ORDER')
      }
      assert.equal(await driver.uploadSize(key), 1000)
      await driver.append(key, 1000, piecesOf(bytes.subarray(1000)))
      await driver.commit(key, digestOf(bytes))
    })

    it('keeps the bytes that came before a break, so that the upload can go on from there', async () => {
      const bytes = randomBytes(500_000)
      const key = await begin()
      await assert.rejects(driver.append(key, 0, breakingAfter(bytes.subarray(0, 300_000))), /cut/)
      const size = await other.uploadSize(key)
      assert.equal(size, 300_000)
      await driver.append(key, size, piecesOf(bytes.subarray(size)))
      await driver.commit(key, digestOf(bytes))
      assert.ok(bytes.equals(await read(digestOf(bytes))))
    })

    it('lets processes take turns on one upload', async () => {
      const bytes = randomBytes(90_000)
      const key = await begin()
      for (let i = 0; i < 9; i++) {
        const part = bytes.subarray(i * 10_000, (i + 1) * 10_000)
        await (i % 2 === 0 ? driver : other).append(key, i * 10_000, piecesOf(part))
      }
      await other.commit(key, digestOf(bytes))
      assert.ok(bytes.equals(await read(digestOf(bytes))))
    })

    it('lets exactly one of several writers add bytes at one offset', async () => {
      const key = await begin()
      const offers = Array.from({ length: 6 }, () => randomBytes(5000))
      const results = await Promise.allSettled(
        offers.map((bytes, i) => (i % 2 ? driver : other).append(key, 0, slow(bytes))),
      )
      const winners = offers.filter((_, i) => results[i]?.status === 'fulfilled')
      assert.equal(winners.length, 1)
      for (const result of results) {
        if (result.status === 'rejected') assert.equal(result.reason.code, 'UPLOAD_OUT_OF_ORDER')
      }
      const [winner] = winners
      assert.ok(winner)
      await driver.commit(key, digestOf(winner))
      assert.ok(winner.equals(await read(digestOf(winner))))
    })

    it('keeps one whole blob when several uploads of it are committed at once', async () => {
      const bytes = randomBytes(400_000)
      const digest = digestOf(bytes)
      const keys = await Promise.all(Array.from({ length: 5 }, begin))
      await Promise.all(keys.map((key) => driver.append(key, 0, piecesOf(bytes))))
      const before = await contents()
      await Promise.all(keys.map((key, i) => (i % 2 ? driver : other).commit(key, digest)))
      assert.ok(bytes.equals(await read(digest)))
      for (const key of keys) assert.equal(await driver.uploadSize(key), undefined)
      const isNew = (entry: string) => !before.includes(entry)
      assert.ok(withoutEnded(await contents()).filter(isNew).length <= 1)
    })

    it('never shows a blob that is being written', async () => {
      const bytes = randomBytes(100_000)
      const digest = digestOf(bytes)
      let isDone = false
      const put = driver.put(digest, slow(bytes)).then(() => {
        isDone = true
      })
      while (!isDone) {
        const found = await other.stat(digest)
        if (found === undefined) {
          await sleep(1)
          continue
        }
        assert.equal(found.size, bytes.length)
        assert.ok(bytes.equals(await read(digest)))
        break
      }
      await put
    })

    it('removes a blob, and takes it again afterwards', async () => {
      const bytes = randomBytes(10_000)
      const digest = digestOf(bytes)
      const before = await contents()
      await driver.put(digest, piecesOf(bytes))
      await driver.delete(digest)
      assert.equal(await other.stat(digest), undefined)
      assert.deepEqual(await contents(), before)
      await driver.put(digest, piecesOf(bytes))
      assert.ok(bytes.equals(await read(digest)))
    })

    it('expires idle uploads alone', async () => {
      const idle = await begin()
      await driver.append(idle, 0, piecesOf(randomBytes(1000)))
      await driver.expireUploads(60_000)
      assert.equal(await driver.uploadSize(idle), 1000)
      await sleep(1100)
      const fresh = await begin()
      await other.expireUploads(1000)
      assert.equal(await driver.uploadSize(idle), undefined)
      assert.equal(await driver.uploadSize(fresh), 0)
      await driver.abort(fresh)
    })

    it('hashes a stream of many odd pieces right', async () => {
      const key = await begin()
      const hash = createHash('sha256')
      let size = 0
      async function* odd(): AsyncGenerator<Uint8Array> {
        for (let i = 0; i < 400; i++) {
          const piece = randomBytes(((i * 7919) % 20_000) + 1)
          hash.update(piece)
          size += piece.length
          yield piece
        }
      }
      assert.equal(await driver.append(key, 0, odd()), size)
      await driver.commit(key, `sha256:${hash.digest('hex')}` as Digest)
    })
  })
}

/** An ended upload may leave one marker, for as long as late requests could come. */
function withoutEnded(contents: readonly string[]): string[] {
  return contents.filter((entry) => !entry.endsWith(' (ended)'))
}

function newKey(): UploadKey {
  return randomUUID() as UploadKey
}

async function* slow(bytes: Buffer): AsyncGenerator<Uint8Array> {
  const step = Math.ceil(bytes.length / 5)
  for (let at = 0; at < bytes.length; at += step) {
    await sleep(5)
    yield bytes.subarray(at, at + step)
  }
}

async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, { code })
}
