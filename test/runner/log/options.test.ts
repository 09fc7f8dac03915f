import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseLogOptions } from '#runner/log/options.ts'

describe('what is typed of a log', () => {
  it('is a driver, a size, a tag, and how many files', () => {
    assert.equal(parseLogOptions(undefined, []), undefined)
    const settings = ['max-size=1m', 'max-file=1', 'tag=web']
    const expected = { driver: 'k8s-file', maxSize: 2 ** 20, maxFiles: undefined, tag: 'web' }
    assert.deepEqual(parseLogOptions('json-file', settings), expected)
    assert.equal(parseLogOptions(undefined, ['max-file=3'])?.maxFiles, 3)
  })

  for (const [setting, says] of [
    ['max-file=x', /how many files to keep, 1 to 999/],
    ['max-file=0', /how many files to keep/],
    ['max-file=1000', /how many files to keep/],
    ['compress=true', /write max-size=SIZE, max-file=NUMBER or tag=TEXT/],
    ['max-size=much', /much/],
  ] as const) {
    it(`is not ${setting}`, () => {
      assert.throws(() => parseLogOptions(undefined, [setting]), { code: 'USAGE', message: says })
    })
  }
})
