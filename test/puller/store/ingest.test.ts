import assert from 'node:assert/strict'
import { appendFileSync, existsSync, writeSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { Ingest } from '#puller/store/ingest.ts'
import { storeLayout } from '#puller/store/layout.ts'
import { waitFor } from '#puller/transfer/prefix.ts'
import { tempDir } from '../../support/temp-dir.ts'

const BLOB = describeBytes(MEDIA_TYPE.ociLayer, Buffer.alloc(1000))

async function openIngest(
  t: TestContext,
  root: string,
  onBytes?: (bytes: number) => void,
): Promise<Ingest> {
  const ingest = await Ingest.open(
    storeLayout(root).ingest(BLOB.digest),
    BLOB,
    onBytes && { onBytes },
  )
  t.after(() => ingest.close())
  return ingest
}

describe('an ingest', () => {
  it('goes on from the ranges that were whole', async (t) => {
    const root = tempDir(t)
    const first = await openIngest(t, root)
    first.wrote({ start: 0, end: 300 })
    first.completed({ start: 0, end: 300 })
    first.wrote({ start: 500, end: 600 })
    first.close()
    const second = await openIngest(t, root)
    assert.deepEqual(second.present(), [{ start: 0, end: 300 }])
    assert.equal(second.presentBytes, 300)
    assert.equal(await waitFor(second.prefix, 1), 300)
  })

  it('counts a line that a crash cut off, or that makes no sense, for nothing', async (t) => {
    const root = tempDir(t)
    const paths = storeLayout(root).ingest(BLOB.digest)
    ;(await openIngest(t, root)).close()
    appendFileSync(paths.ranges, '0 100\n200 100\nx y\n900 1001\n-5 7\n300 400')
    assert.deepEqual((await openIngest(t, root)).present(), [{ start: 0, end: 100 }])
  })

  it('joins bytes that arrive out of order and tells the reader how far they go without a gap', async (t) => {
    const reported: number[] = []
    const ingest = await openIngest(t, tempDir(t), (bytes) => reported.push(bytes))
    ingest.wrote({ start: 200, end: 300 })
    ingest.wrote({ start: 0, end: 100 })
    assert.equal(await waitFor(ingest.prefix, 1), 100)
    ingest.wrote({ start: 100, end: 150 })
    ingest.wrote({ start: 150, end: 200 })
    assert.equal(await waitFor(ingest.prefix, 101), 300)
    assert.deepEqual(ingest.present(), [{ start: 0, end: 300 }])
    assert.deepEqual(reported, [0, 100, 200, 250, 300])
  })

  it('wakes a waiting reader when there is enough, also when nothing more will come', async (t) => {
    const ingest = await openIngest(t, tempDir(t))
    const more = waitFor(ingest.prefix, 15)
    ingest.wrote({ start: 0, end: 10 })
    ingest.wrote({ start: 10, end: 20 })
    assert.equal(await more, 20)
    const never = waitFor(ingest.prefix, 21)
    ingest.abandon()
    assert.equal(await never, undefined)
  })

  it('is open to one at a time, and leaves nothing when it is removed', async (t) => {
    const root = tempDir(t)
    const first = await openIngest(t, root)
    writeSync(first.fd, Buffer.alloc(10), 0, 10, 0)
    const waiting = openIngest(t, root)
    await first.remove()
    const second = await waiting
    assert.equal(second.presentBytes, 0)
    await second.remove()
    assert.equal(existsSync(storeLayout(root).ingest(BLOB.digest).dir), false)
  })

  it('goes from hand to hand among many that remove it, each in its turn', async (t) => {
    const root = tempDir(t)
    let open = 0
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const ingest = await openIngest(t, root)
        assert.equal(++open, 1)
        ingest.completed({ start: 0, end: 10 })
        await setImmediate()
        open--
        await ingest.remove()
      }),
    )
    assert.equal(existsSync(storeLayout(root).ingest(BLOB.digest).dir), false)
  })
})
