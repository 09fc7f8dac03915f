import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDigest } from '#oci/digest.ts'
import { openIngests } from '#puller/transfer/open-ingests.ts'
import type { LayerTask } from '#puller/transfer/store-layers.ts'

const task = (letter: string): LayerTask => ({
  blob: { mediaType: 'x/y', digest: parseDigest(`sha256:${letter.repeat(64)}`), size: 1 },
  diffId: undefined,
})
const [a, b, c] = [task('a'), task('b'), task('c')]

describe('openIngests', () => {
  it('opens them by digest and holds none behind one that it waits for', async () => {
    const opened: LayerTask[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    const ingests = await openIngests([c, a, b], async (wanted, onWait) => {
      if (wanted === b) {
        onWait()
        await promise
      }
      opened.push(wanted)
      return undefined
    })
    assert.deepEqual(opened, [a])
    resolve()
    await ingests.get(c)
    assert.deepEqual(opened, [a, b, c])
  })

  it('opens no more after one that failed', async () => {
    const failure = new Error('no space')
    const opened: LayerTask[] = []
    const ingests = await openIngests([a, b, c], async (wanted) => {
      if (wanted === b) throw failure
      opened.push(wanted)
      return undefined
    })
    await assert.rejects(ingests.get(b) ?? Promise.resolve(), failure)
    await assert.rejects(ingests.get(c) ?? Promise.resolve(), failure)
    assert.deepEqual(opened, [a])
  })
})
