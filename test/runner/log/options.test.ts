import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseLogOptions } from '#runner/log/options.ts'

describe('what is typed of a log', () => {
  it('is a driver, a size, a tag, and one file', () => {
    assert.equal(parseLogOptions(undefined, []), undefined)
    const settings = ['max-size=1m', 'max-file=1', 'tag=web']
    const expected = { driver: 'k8s-file', maxSize: 2 ** 20, tag: 'web' }
    assert.deepEqual(parseLogOptions('json-file', settings), expected)
  })

  for (const [setting, says] of [
    [
      'max-file=3',
      /a log is one file, which begins anew when it is full: give it more with max-size/,
    ],
    ['max-file=x', /a log is one file/],
    ['compress=true', /write max-size=SIZE or tag=TEXT/],
    ['max-size=much', /much/],
  ] as const) {
    it(`is not ${setting}`, () => {
      assert.throws(() => parseLogOptions(undefined, [setting]), { code: 'USAGE', message: says })
    })
  }
})
