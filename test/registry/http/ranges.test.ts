import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseRanges } from '#registry/http/ranges.ts'

describe('the Range header', () => {
  it('is ignored where it is not understood, or asks for more than the blob', () => {
    const many = Array.from({ length: 17 }, (_, i) => `${i}-${i}`).join(',')
    for (const header of [
      '',
      'bytes',
      'bytes=',
      'bytes=-',
      'bytes=a-b',
      'items=0-1',
      'bytes=0-1;2-3',
      `bytes=${many}`,
      'bytes=0-99,0-99',
      `bytes=${'9'.repeat(2000)}-`,
    ]) {
      assert.equal(parseRanges(header, 100), undefined, header)
    }
  })

  it('leaves out ranges that lie outside of the blob', () => {
    assert.deepEqual(parseRanges('bytes=0-9,200-300', 100), [{ start: 0, end: 9 }])
    assert.deepEqual(parseRanges('bytes=100-', 100), [])
    assert.deepEqual(parseRanges('bytes=0-', 0), [])
    assert.deepEqual(parseRanges('bytes=-5', 0), [])
  })

  it('only ever yields ranges inside of the blob', () => {
    const spec = fc.tuple(fc.option(fc.nat(300)), fc.option(fc.nat(300)))
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 20 }), fc.nat(200), (specs, size) => {
        const header = `bytes=${specs.map(([a, b]) => `${a ?? ''}-${b ?? ''}`).join(', ')}`
        for (const { start, end } of parseRanges(header, size) ?? []) {
          assert.ok(0 <= start && start <= end && end < size)
        }
      }),
    )
  })
})
