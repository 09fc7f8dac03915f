import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  formatDuration,
  formatSince,
  formatSize,
  formatTable,
  shortDigest,
} from '#cli/output/format.ts'

describe('formatSize', () => {
  it('prints three digits and the unit of 1000', () => {
    const table = [
      [0, '0B'],
      [999, '999B'],
      [1000, '1kB'],
      [1024, '1.02kB'],
      [999_499, '999kB'],
      [999_500, '1MB'],
      [239_000_000, '239MB'],
      [1_350_000_000, '1.35GB'],
      [Number.MAX_SAFE_INTEGER, '9.01PB'],
    ] as const
    for (const [bytes, text] of table) assert.equal(formatSize(bytes), text)
  })
})

describe('formatDuration', () => {
  it('prints milliseconds, seconds, then minutes', () => {
    const table = [
      [0, '0ms'],
      [999, '999ms'],
      [4100, '4.1s'],
      [125_000, '2m05s'],
    ] as const
    for (const [ms, text] of table) assert.equal(formatDuration(ms), text)
  })
})

describe('formatSince', () => {
  it('says how long ago something was, if that is known', () => {
    const now = Date.parse('2026-01-31T12:00:00Z')
    assert.equal(formatSince('2026-01-31T13:58:00+02:00', now), '2 minutes ago')
    assert.equal(formatSince('1970-01-01T00:00:00Z', now), '56 years ago')
    for (const unknown of [undefined, '', 'yesterday'])
      assert.equal(formatSince(unknown, now), 'N/A')
  })
})

describe('formatTable', () => {
  it('lines up columns and leaves no space at the end of a line', () => {
    assert.equal(
      formatTable([
        ['A', 'LONG'],
        ['bbb', 'c'],
        ['d', ''],
      ]),
      'A    LONG\nbbb  c\nd\n',
    )
  })
})

describe('shortDigest', () => {
  it('is the first 12 hex digits', () => {
    assert.equal(shortDigest(`sha256:${'0123456789abcdef'.repeat(4)}`), '0123456789ab')
  })
})
