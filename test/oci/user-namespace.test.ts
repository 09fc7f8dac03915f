import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { highestGroup, isInUserNamespace, outsideOf } from '#oci/user-namespace.ts'

describe('a user namespace', () => {
  it('is one that lacks some of the host’s users', () => {
    assert.equal(isInUserNamespace('         0          0 4294967295\n'), false)
    assert.equal(isInUserNamespace('0 1000 1\n1 100000 65536\n'), true)
    assert.equal(isInUserNamespace('0 100000 65536\n'), true)
    assert.equal(isInUserNamespace(''), false)
  })

  it('has for each of its users one of the host', () => {
    const map = '0 1000 1\n1 100000 65536\n'
    assert.deepEqual(
      [0, 1, 65_536, 65_537].map((id) => outsideOf(map, id)),
      [1000, 100_000, 165_535, undefined],
    )
  })

  it('has groups up to the end of its last range', () => {
    assert.equal(highestGroup('0 1000 1\n1 100000 65536\n'), 65_536)
    assert.equal(highestGroup('0 0 4294967295\n'), 4_294_967_294)
  })
})
