import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { controllersWithout, limitsHeld } from '#runner/spec/limits.ts'
import { blockIoOf, parseDeviceRate } from '#runner/spec/block-io.ts'

const BYTES = 'throttleReadBpsDevice'
const OPERATIONS = 'throttleWriteIOPSDevice'

describe('the rate of a device', () => {
  it('is bytes or operations in a second', () => {
    const rate = { kind: BYTES, hostPath: '/dev/sda', rate: 10 * 2 ** 20 }
    assert.deepEqual(parseDeviceRate(BYTES, '/dev//sda:10mb'), rate)
    assert.equal(parseDeviceRate(OPERATIONS, '/dev/sda:1000').rate, 1000)
  })

  for (const text of [
    '',
    '/dev/sda',
    'sda:1',
    '/dev/sda:',
    '/dev/sda:0',
    '/dev/sda:-1',
    '/a:1:2',
    '/a:x',
  ])
    it(`is not ${JSON.stringify(text)}`, () => {
      for (const kind of [BYTES, OPERATIONS] as const)
        assert.throws(() => parseDeviceRate(kind, text), { code: 'USAGE' })
    })

  it('is that of the number which the device has', (t) => {
    const [name] = readdirSync('/sys/block')
    if (name === undefined) return t.skip('this host has no block device')
    const [major, minor] = readFileSync(`/sys/block/${name}/dev`, 'utf8').split(':').map(Number)
    const deviceRates = [parseDeviceRate(BYTES, `/dev/${name}:1k`)]
    assert.deepEqual(blockIoOf({ deviceRates }), { [BYTES]: [{ major, minor, rate: 1024 }] })
    assert.equal(blockIoOf({}), undefined)
    const none = { deviceRates: [parseDeviceRate(BYTES, '/dev/null:1k')] }
    assert.throws(() => blockIoOf(none), { code: 'USAGE', message: /no block device/ })
  })

  it('is held by the controller of either version of cgroups, or said to be by none', () => {
    const options = { deviceRates: [parseDeviceRate(BYTES, '/dev/sda:1k')] }
    for (const [controllers, missing] of [
      [['io'], []],
      [['blkio'], []],
      [['cpu'], ['io']],
    ] as const) {
      assert.deepEqual(controllersWithout(options, controllers), missing)
      const held = limitsHeld(options, controllers).deviceRates
      assert.equal(held === undefined, missing.length > 0)
    }
  })
})
