import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type ByteRange,
  gapsIn,
  mergeRanges,
  prefixLength,
  totalLength,
} from '#puller/transfer/ranges.ts'

const SIZE = 200
const ranges = fc.array(
  fc
    .tuple(fc.nat(SIZE), fc.nat(SIZE))
    .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) })),
)

function bytesOf(list: readonly ByteRange[]): Set<number> {
  const bytes = new Set<number>()
  for (const { start, end } of list) for (let at = start; at < end; at++) bytes.add(at)
  return bytes
}

describe('byte ranges', () => {
  it('are merged into sorted ranges that neither touch nor overlap', () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const merged = mergeRanges(list)
        assert.deepEqual(bytesOf(merged), bytesOf(list))
        for (const [at, range] of merged.entries()) {
          assert.ok(range.start < range.end)
          assert.ok(at === 0 || (merged[at - 1]?.end ?? 0) < range.start)
        }
        assert.equal(totalLength(list), bytesOf(list).size)
      }),
    )
  })

  it('that are missing of a range are in order and, with those present, make it up', () => {
    fc.assert(
      fc.property(ranges, ranges, (present, [range = { start: 0, end: SIZE }]) => {
        const gaps = gapsIn(range, present)
        const have = bytesOf(present)
        const expected = [...bytesOf([range])].filter((byte) => !have.has(byte))
        assert.deepEqual(
          gaps.flatMap((gap) => [...bytesOf([gap])]),
          expected,
        )
        assert.ok(gaps.every(({ start, end }) => start < end))
      }),
    )
  })

  it('give the length of what is there from the start without a gap', () => {
    assert.equal(prefixLength([]), 0)
    assert.equal(prefixLength([{ start: 1, end: 5 }]), 0)
    assert.equal(
      prefixLength([
        { start: 5, end: 9 },
        { start: 0, end: 5 },
        { start: 10, end: 11 },
      ]),
      9,
    )
  })
})
