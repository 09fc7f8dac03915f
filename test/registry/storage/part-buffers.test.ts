import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPartBuffers } from '#registry/storage/s3/part-buffers.ts'

const never = () => assert.fail('recalled')

describe('memory for parts', () => {
  it('is lent up to a limit, then to who asked first', async () => {
    const buffers = createPartBuffers({ partSize: 10, count: 2, holdMs: 60_000 })
    const [first, second] = [await buffers.take(never), await buffers.take(never)]
    assert.notEqual(first.bytes, second.bytes)
    const order: number[] = []
    const third = buffers.take(never).then((buffer) => {
      order.push(3)
      return buffer
    })
    const fourth = buffers.take(never).then((buffer) => {
      order.push(4)
      return buffer
    })
    second.release()
    assert.equal((await third).bytes, second.bytes)
    first.release()
    assert.equal((await fourth).bytes, first.bytes)
    assert.deepEqual(order, [3, 4])
  })

  it('is recalled from who holds it too long, but not when the part is on its way', async () => {
    const buffers = createPartBuffers({ partSize: 10, count: 2, holdMs: 20 })
    const sealed = await buffers.take(never)
    sealed.seal()
    const slow = await buffers.take(() => slow.release())
    const next = await buffers.take(never)
    assert.equal(next.bytes, slow.bytes)
  })
})
