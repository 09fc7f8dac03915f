import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAddressSet, plainAddress } from '#registry/net/addresses.ts'

describe('a set of addresses', () => {
  it('holds its addresses and networks, and no other', () => {
    const isIn = parseAddressSet(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::1'])
    for (const address of ['10.1.2.3', '192.0.2.1', '2001:db8::5', '::1']) {
      assert.ok(isIn(address), address)
    }
    for (const address of ['11.0.0.1', '192.0.2.2', '2001:db9::', '::2', '', 'localhost', '10']) {
      assert.ok(!isIn(address), address)
    }
    assert.ok(!parseAddressSet([])('127.0.0.1'))
  })

  it('is refused with what is no address', () => {
    for (const text of [
      '',
      'localhost',
      '10.0.0',
      '10.0.0.0/33',
      '::/129',
      '::1/',
      '1.1.1.1/a',
      '1.1.1.1/8/8',
    ]) {
      assert.throws(() => parseAddressSet([text]), { code: 'CONFIG_INVALID' }, text)
    }
  })

  it('sees addresses as people write them', () => {
    assert.equal(plainAddress('::ffff:127.0.0.1'), '127.0.0.1')
    assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1')
    assert.equal(plainAddress('2001:db8::1'), '2001:db8::1')
  })
})
