import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { RecordDriver } from '#registry/storage/record-driver.ts'

/** One store under test. */
export interface RecordStoreFixture {
  /** Opens the store as another process would. */
  open(): Promise<RecordDriver>
  /** Removes the store. */
  dispose(): Promise<void>
}

/** Registers the tests that every `RecordDriver` must pass. */
export function testRecordDriver(
  name: string,
  createStore: () => Promise<RecordStoreFixture>,
): void {
  describe(name, () => {
    let store: RecordStoreFixture
    let driver: RecordDriver
    let other: RecordDriver

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

    const write = (key: string, text: string, condition = {}) =>
      driver.put(key, Buffer.from(text), condition)
    const text = async (key: string) => {
      const record = await other.get(key)
      return record === undefined ? undefined : Buffer.from(record.bytes).toString()
    }
    const version = async (key: string) => (await driver.get(key))?.version ?? ''

    it('gives back what was put last, byte for byte', async () => {
      assert.equal(await driver.get('a/one'), undefined)
      await write('a/one', 'first')
      await write('a/one', 'second')
      assert.equal(await text('a/one'), 'second')
      const odd = Buffer.from([0, 255, 10, 13, 0, 128])
      await driver.put('a/odd', odd)
      assert.ok(odd.equals((await other.get('a/odd'))?.bytes ?? Buffer.alloc(0)))
    })

    it('holds documents of 5 MiB', async () => {
      const bytes = Buffer.alloc(5 * 1024 * 1024, 'large')
      await driver.put('a/large', bytes)
      assert.ok(bytes.equals((await other.get('a/large'))?.bytes ?? Buffer.alloc(0)))
    })

    it('keeps keys apart that look like paths, prefixes or patterns of each other', async () => {
      const keys = [
        ...['k/a', 'k/a/b', 'k/a!/b', 'k/a!', 'k/ab', 'k/a%', 'k/a_', 'k/A', 'k/a.'],
        ...['k/..', 'k/.', 'k/a b', 'k/a+b', 'k/a%2fb', 'k/sha256:ab', "k/a'b"],
      ]
      for (const key of keys) await write(key, key)
      for (const key of keys) assert.equal(await text(key), key)
      assert.deepEqual(await driver.list('k/', { limit: 100 }), [...keys].sort())
      for (const key of keys) await driver.delete(key)
      assert.deepEqual(await driver.list('k/', { limit: 100 }), [])
    })

    it('creates a record only where there is none', async () => {
      await write('c/one', 'first', { ifAbsent: true })
      await rejects(write('c/one', 'second', { ifAbsent: true }))
      assert.equal(await text('c/one'), 'first')
      await driver.delete('c/one')
      await write('c/one', 'third', { ifAbsent: true })
      assert.equal(await text('c/one'), 'third')
    })

    it('replaces a record only at the version that the writer has seen', async () => {
      await write('c/two', 'first')
      const seen = await version('c/two')
      await write('c/two', 'second', { ifVersion: seen })
      await rejects(write('c/two', 'third', { ifVersion: seen }))
      assert.equal(await text('c/two'), 'second')
      await rejects(write('c/never', 'x', { ifVersion: seen }))
      assert.equal(await text('c/never'), undefined)
    })

    it('tells a record from another one of the same bytes', async () => {
      await write('c/same', 'same')
      const seen = await version('c/same')
      await write('c/same', 'same')
      assert.notEqual(await version('c/same'), seen)
      await rejects(driver.delete('c/same', { ifVersion: seen }))
      await rejects(write('c/same', 'other', { ifVersion: seen }))
      assert.equal(await text('c/same'), 'same')
    })

    it('removes a record, at a version if asked, and success is no record', async () => {
      await write('d/one', 'first')
      const seen = await version('d/one')
      await write('d/one', 'second')
      await rejects(driver.delete('d/one', { ifVersion: seen }))
      assert.equal(await text('d/one'), 'second')
      await driver.delete('d/one', { ifVersion: await version('d/one') })
      assert.equal(await text('d/one'), undefined)
      assert.deepEqual(await other.list('d/', { limit: 10 }), [])
      await rejects(driver.delete('d/one', { ifVersion: seen }))
      await driver.delete('d/one')
      await write('d/one', 'again', { ifAbsent: true })
      assert.equal(await text('d/one'), 'again')
      assert.deepEqual(await other.list('d/', { limit: 10 }), ['d/one'])
      await driver.delete('d/one', { ifVersion: await version('d/one') })
      await write('d/one', 'plain')
      assert.equal(await text('d/one'), 'plain')
    })

    it('lists in the order of bytes, after a key, within a limit', async () => {
      const names = ['0.1.2', '0.1.20', '1', '10', '2', 'A', 'Z', '_x', 'a', 'a-b', 'a.b', 'aa']
      for (const name of [...names].reverse()) await write(`l/r!/${name}`, name)
      await write('l/r', 'x')
      await write('l/r!', 'x')
      await write('l/r"/x', 'x')
      const keys = names.map((name) => `l/r!/${name}`)
      assert.deepEqual(await driver.list('l/r!/', { limit: 1000 }), keys)
      assert.deepEqual(await driver.list('l/r!/', { limit: 3 }), keys.slice(0, 3))
      assert.deepEqual(
        await driver.list('l/r!/', { limit: 2, after: 'l/r!/0.1.2' }),
        keys.slice(1, 3),
      )
      assert.deepEqual(
        await driver.list('l/r!/', { limit: 2, after: 'l/r!/0.1.3' }),
        keys.slice(2, 4),
      )
      assert.deepEqual(await driver.list('l/r!/', { limit: 2, after: 'a' }), keys.slice(0, 2))
      assert.deepEqual(await driver.list('l/r!/', { limit: 2, after: 'z' }), [])
      assert.deepEqual(await driver.list('l/none/', { limit: 2 }), [])
    })

    it('lets exactly one of many creators of a key succeed', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, (_, i) =>
          (i % 2 ? driver : other).put('race/create', Buffer.from(`writer ${i}`), {
            ifAbsent: true,
          }),
        ),
      )
      const winners = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
      assert.equal(winners.length, 1)
      assert.equal(await text('race/create'), `writer ${winners[0]}`)
    })

    it('loses no increment of a counter that many writers compare and swap', async () => {
      await write('race/counter', '0')
      const increment = async (via: RecordDriver): Promise<void> => {
        for (;;) {
          const record = await via.get('race/counter')
          assert.ok(record)
          const next = Number(Buffer.from(record.bytes).toString()) + 1
          try {
            return await via.put('race/counter', Buffer.from(String(next)), {
              ifVersion: record.version,
            })
          } catch (error) {
            assert.equal((error as { code: string }).code, 'RECORD_CONFLICT')
          }
        }
      }
      const writers = Array.from({ length: 4 }, async (_, i) => {
        for (let n = 0; n < 5; n++) await increment(i % 2 ? driver : other)
      })
      await Promise.all(writers)
      assert.equal(await text('race/counter'), '20')
    })
  })
}

async function rejects(promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, { code: 'RECORD_CONFLICT' })
}
