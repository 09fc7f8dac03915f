import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { controllersWithout, limitsHeld } from '#runner/spec/limits.ts'
import {
  blockIoOf,
  parseDeviceRate,
  parseDeviceWeight,
  parseWeight,
} from '#runner/spec/block-io.ts'

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

describe('the weight of a container', () => {
  it('is 10 to 1000, or none', () => {
    assert.equal(parseWeight('10'), 10)
    assert.equal(parseWeight('1000'), 1000)
    assert.equal(parseWeight('0'), undefined)
    assert.deepEqual(parseDeviceWeight('/dev//sda:500'), { hostPath: '/dev/sda', weight: 500 })
    assert.deepEqual(blockIoOf({ blkioWeight: 500 }), { weight: 500 })
  })

  for (const text of ['', '9', '1001', '-1', '1e2', 'much', '010000'])
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseWeight(text), { code: 'USAGE', message: /10 to 1000/ })
      const ofDevice = () => parseDeviceWeight(`/dev/sda:${text}`)
      assert.throws(ofDevice, { code: 'USAGE', message: /10 to 1000/ })
    })

  it('is not that of what BFQ does not schedule', () => {
    const weigh = (hostPath: string) => () =>
      blockIoOf({ deviceWeights: [{ hostPath, weight: 9 }] })
    assert.throws(weigh('/dev/null'), { code: 'USAGE', message: /no block device/ })
    const name = readdirSync('/sys/block').find((name) => {
      const scheduler = `/sys/block/${name}/queue/scheduler`
      const isThere = existsSync(`/dev/${name}`) && existsSync(scheduler)
      return isThere && !readFileSync(scheduler, 'utf8').includes('[bfq]')
    })
    if (name === undefined) return
    assert.throws(weigh(`/dev/${name}`), { code: 'USAGE', message: /echo bfq > \/sys\/dev/ })
  })
})
