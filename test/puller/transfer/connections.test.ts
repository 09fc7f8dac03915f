import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnections } from '#puller/transfer/connections.ts'

const MiB = 1024 * 1024
const { signal } = new AbortController()

describe('createConnections', () => {
  it('sends no more requests at once than it may', async () => {
    const connections = createConnections({ maxConnections: 3 }).to({ name: 'a' })
    let [now, most] = [0, 0]
    const request = async () => {
      most = Math.max(most, ++now)
      await new Promise(setImmediate)
      now--
    }
    await Promise.all(Array.from({ length: 20 }, () => connections.run(request)))
    assert.equal(most, 3)
  })

  it('cuts ranges smaller towards the end of a blob, so that all end together', () => {
    const connections = createConnections().to({ name: 'a' })
    const sizes: number[] = []
    for (let left = 100 * MiB; left > 0; ) {
      const size = Math.min(left, connections.rangeSize(left))
      sizes.push(size)
      left -= size
    }
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    )
    assert.ok(sizes.slice(0, -1).every((size) => size >= MiB))
    assert.ok((sizes[0] ?? 0) <= 32 * MiB)
  })

  it('asks a fast host for ranges that are worth a request, down to the last one', async () => {
    const connections = createConnections({ maxConnections: 1 }).to({ name: 'a' })
    // The rate is measured over windows of 100 ms, the first of which doesn't count.
    await connections.run(async () => {
      for (let window = 0; window < 4; window++) {
        await connections.received(400 * MiB, signal)
        await sleep(110)
      }
    })
    assert.ok(connections.rangeSize(2 * MiB) >= 8 * MiB)
    assert.ok(connections.rangeSize(1000 * MiB) <= 32 * MiB)
  })

  it('asks to wait when bytes come faster than the rate allows', () => {
    const connections = createConnections({ limitRate: 10 * MiB }).to({ name: 'a' })
    assert.notEqual(connections.received(MiB, signal), undefined)
    assert.equal(createConnections().to({ name: 'a' }).received(MiB, signal), undefined)
  })

  it('takes one connection for a rate that is not worth more', () => {
    assert.equal(createConnections({ limitRate: 1000 }).most, 1)
    assert.equal(createConnections({ limitRate: 100 * MiB, maxConnections: 2 }).most, 2)
  })
})
