import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inflaterOf } from '#cli/inflater.ts'

describe('inflaterOf', () => {
  it('is what the environment says, chosen by the host otherwise', () => {
    assert.equal(inflaterOf({}), 'auto')
    assert.equal(inflaterOf({ DRAY_INFLATER: '' }), 'auto')
    assert.equal(inflaterOf({ DRAY_INFLATER: 'zlib' }), 'zlib')
    assert.throws(() => inflaterOf({ DRAY_INFLATER: 'gzip' }), { code: 'USAGE' })
  })
})
