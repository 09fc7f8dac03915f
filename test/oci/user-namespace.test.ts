import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { highestGroup, isInUserNamespace } from '#oci/user-namespace.ts'

describe('a user namespace', () => {
  it('is one that lacks some of the host’s users', () => {
    assert.equal(isInUserNamespace('         0          0 4294967295\n'), false)
    assert.equal(isInUserNamespace('0 1000 1\n1 100000 65536\n'), true)
    assert.equal(isInUserNamespace('0 100000 65536\n'), true)
    assert.equal(isInUserNamespace(''), false)
  })

  it('has groups up to the end of its last range', () => {
    assert.equal(highestGroup('0 1000 1\n1 100000 65536\n'), 65_536)
    assert.equal(highestGroup('0 0 4294967295\n'), 4_294_967_294)
  })
})
