import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mapArguments, parseSubIds } from '#cli/rootless/sub-ids.ts'

describe('ranges of numbers beside a user’s own', () => {
  const owner = { uid: 1000, gid: 1000, name: 'alice' }

  it('are those of its name and of its number, in the order of the file', () => {
    const text =
      '# ranges\nbob:100000:65536\nalice:165536:65536\n1000:300000:10\n10000:1:1\nalice::\n'
    assert.deepEqual(parseSubIds(text, owner), [
      { first: 165_536, count: 65_536 },
      { first: 300_000, count: 10 },
    ])
  })

  it('are none in a file without a line for it, of nothing, or of no range', () => {
    for (const text of ['', 'bob:1:2', 'alice:1', 'alice:x:1', 'alice:100000:0', 'alice 1 2']) {
      assert.deepEqual(parseSubIds(text, owner), [], text)
    }
  })

  it('belong to a number alone where the user has no name', () => {
    assert.deepEqual(parseSubIds('undefined:5:6\n1000:7:8\n', { uid: 1000, gid: 1000 }), [
      { first: 7, count: 8 },
    ])
  })

  it('come after root, which is the user itself', () => {
    const ranges = [
      { first: 165_536, count: 65_536 },
      { first: 300_000, count: 10 },
    ]
    const words = '0 1000 1 1 165536 65536 65537 300000 10'.split(' ')
    assert.deepEqual(mapArguments(1000, ranges), words)
  })
})
