import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { mergeCount, type Segment, sliceSegments } from '#registry/storage/s3/segments.ts'

const segmentsOf = (sizes: readonly number[]): Segment[] =>
  sizes.map((size, i) => ({ key: String(i), size }))

describe('segments', () => {
  it('give each byte of a range from the object that holds it', () => {
    const range = fc.tuple(fc.nat(80), fc.nat(80))
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 10 })), range, (sizes, [start, length]) => {
        const all = sizes.flatMap((size, i) =>
          Array.from({ length: size }, (_, at) => `${i}:${at}`),
        )
        const slices = sliceSegments(segmentsOf(sizes), { start, end: start + length })
        const bytes = slices.flatMap(({ key, range: { start, end } }) =>
          Array.from({ length: end - start + 1 }, (_, at) => `${key}:${start + at}`),
        )
        assert.deepEqual(bytes, all.slice(start, start + length + 1))
      }),
    )
  })

  it('stay few, and are copied a few times at most, in chunks of any size', () => {
    const KiB = 1024
    for (const [chunk, count] of [
      [1, 10_001],
      [KiB, 10_001],
      [100 * KiB, 2000],
      [1024 * KiB, 500],
    ] as const) {
      let segments: Segment[] = []
      let copied = 0
      let most = 0
      for (let i = 0; i < count; i++) {
        const merge = mergeCount(segments)
        const tail = segments.slice(segments.length - merge)
        const moved = tail.reduce((sum, { size }) => sum + size, 0)
        copied += moved
        segments = [...segments.slice(0, segments.length - merge), { key: '', size: moved + chunk }]
        most = Math.max(most, segments.filter(({ size }) => size < 4096 * KiB).length)
      }
      assert.ok(most <= 48, `${most} small segments of chunks of ${chunk}`)
      if (chunk >= KiB) assert.ok(copied <= 4 * chunk * count, `${copied} bytes copied`)
    }
  })
})
