import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseBytes, parseCpus, parseMemory, parsePidsLimit } from '#runner/index.ts'
import { parseCpuShares } from '#runner/size.ts'

type Parser = (text: string) => number | undefined

const READ: readonly (readonly [Parser, string, number | undefined])[] = [
  [parseBytes, '0', 0],
  [parseBytes, '1048576', 1048576],
  [parseBytes, '5b', 5],
  [parseBytes, '2k', 2048],
  [parseBytes, '64m', 64 * 2 ** 20],
  [parseBytes, '64M', 64 * 2 ** 20],
  [parseBytes, '1.5g', 1.5 * 2 ** 30],
  [parseBytes, '0.3b', 0],
  [parseBytes, '64mb', 64 * 2 ** 20],
  [parseBytes, '64MiB', 64 * 2 ** 20],
  [parseBytes, '1t', 2 ** 40],
  [parseMemory, '6m', 6 * 2 ** 20],
  [parseMemory, '0', undefined],
  [parseCpuShares, '2', 2],
  [parseCpuShares, '0', undefined],
  [parseCpus, '2', 2],
  [parseCpus, '0', undefined],
  [parseCpus, '.5', 0.5],
  [parseCpus, '0.01', 0.01],
  [parsePidsLimit, '20', 20],
  [parsePidsLimit, '-1', -1],
  [parsePidsLimit, '0', -1],
]

const REFUSED: readonly (readonly [Parser, readonly string[]])[] = [
  [
    parseBytes,
    ['', 'm', '-1', '+1', '1e3', '0x10', '1 m', ' 1m', '1m ', '1bm', '1i', '1,5g', '1.g', '.5g'],
  ],
  [parseBytes, ['Infinity', 'NaN', '9007199254740993', '9999999999999999g', '1.2.3', '1\n', '٣m']],
  [parseMemory, ['6291455', '5m', '', '-1']],
  [parseCpus, ['', '0.001', '-1', '1e1', 'two', '1.', '1/2', 'NaN', '1000000']],
  [parseCpuShares, ['', '1', '-4', '262145', 'x', '1.5']],
  [parsePidsLimit, ['', '-2', '1.5', 'many', '9999999999', '-0']],
]

describe('the parsers of limits', () => {
  for (const [parse, text, value] of READ) {
    it(`read ${JSON.stringify(text)} by ${parse.name}`, () => {
      assert.equal(parse(text), value)
    })
  }

  for (const [parse, texts] of REFUSED) {
    for (const text of texts) {
      it(`refuse ${JSON.stringify(text)} by ${parse.name}`, () => {
        assert.throws(() => parse(text), { code: 'USAGE' })
      })
    }
  }
})
