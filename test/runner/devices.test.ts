import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildResources } from '#runner/spec/limits.ts'
import { formatDeviceRule, parseDeviceRule } from '#runner/spec/devices.ts'

describe('a rule for devices', () => {
  for (const [text, rule] of [
    ['c 1:3 rwm', { type: 'c', major: 1, minor: 3, access: 'rwm' }],
    ['b 8:* r', { type: 'b', major: 8, access: 'r' }],
    ['c *:* m', { type: 'c', access: 'm' }],
    ['a *:* rwm', { type: 'a', access: 'rwm' }],
  ] as const) {
    it(`is ${text}`, () => {
      assert.deepEqual(parseDeviceRule(text), { allow: true, ...rule })
      assert.equal(formatDeviceRule(parseDeviceRule(text)), text)
    })
  }

  for (const text of ['', 'c 1:3', 'c 1 rwm', 'x 1:3 r', 'c 1:3 x', 'a 1:3 rwm', 'c  1:3 r']) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseDeviceRule(text), { code: 'USAGE', message: /such as "c 189/ })
    })
  }

  it('adds to what a container may use', () => {
    const { devices } = buildResources({ deviceRules: [parseDeviceRule('c 1:3 r')] }, true, [])
    const added = { allow: true, type: 'c', major: 1, minor: 3, access: 'r' }
    assert.deepEqual(devices, [{ allow: false, access: 'rwm' }, added])
  })
})
