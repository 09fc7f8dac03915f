import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseJson } from '#oci/json.ts'

const LIMITS = { code: 'MANIFEST_INVALID', maxBytes: 1024 * 1024 } as const

const parse = (text: string | Uint8Array) => parseJson(Buffer.from(text as string), LIMITS)
const refuses = (text: string | Uint8Array) =>
  assert.throws(() => parse(text), { code: 'MANIFEST_INVALID' })

describe('parseJson', () => {
  it('agrees with JSON.parse on every JSON text', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        assert.deepEqual(parse(text), JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  it('agrees with JSON.parse on pretty-printed texts', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, undefined, '\t ')
        assert.deepEqual(parse(text), JSON.parse(text))
      }),
    )
  })

  it('refuses whatever JSON.parse refuses, for any text of JSON characters', () => {
    const pieces = fc.constantFrom(...'{}[]",:\\'.split(''), 'a', '1', 'null', '\\u0061', ' ', '""')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('')
        const expected = attempt(() => JSON.parse(text))
        const actual = attempt(() => parse(text))
        if (expected === undefined) assert.equal(actual, undefined)
      }),
      { numRuns: 5000 },
    )
  })

  it('refuses a name that occurs twice in one object', () => {
    refuses('{"a":1,"a":1}')
    refuses('{"a":1,"b":{},"a":2}')
    refuses('{"x":{"a":1,"a":2}}')
    refuses('[{"a":[{"b":1 , "b" : 2}]}]')
    refuses('{"":1,"":2}')
    refuses('{"__proto__":1,"__proto__":2}')
  })

  it('sees through escapes that spell one name in two ways', () => {
    refuses('{"config":1,"\\u0063onfig":2}')
    refuses('{"\\u0063onfig":1,"\\u0063\\u006fnfig":2}')
    refuses('{"a/b":1,"a\\/b":2}')
    refuses('{"\\"":1,"\\u0022":2}')
    refuses('{"é":1,"\\u00e9":2}')
    refuses('{"\\u00E9":1,"\\u00e9":2}')
    refuses('{"\\ud83d\\ude00":1,"😀":2}')
  })

  it('takes one name in several objects, and names that only look alike', () => {
    assert.deepEqual(parse('{"a":{"a":{"a":1}},"b":{"a":2}}'), {
      a: { a: { a: 1 } },
      b: { a: 2 },
    })
    assert.deepEqual(parse('[{"a":1},{"a":2}]'), [{ a: 1 }, { a: 2 }])
    assert.deepEqual(parse('{"a":"a","A":"a:","b":",\\"a\\":"}'), {
      a: 'a',
      A: 'a:',
      b: ',"a":',
    })
    assert.deepEqual(parse('{"\\\\u0061":1,"a":2}'), { '\\u0061': 1, a: 2 })
  })

  it('keeps __proto__ an ordinary name', () => {
    const value = parse('{"__proto__":{"polluted":true}}') as object
    assert.deepEqual(Object.keys(value), ['__proto__'])
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  })

  it('refuses nesting beyond the limit and takes nesting at it', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    assert.ok(parse(nested(64)))
    refuses(nested(65))
    refuses('{"a":'.repeat(65) + '1'.padEnd(66, '}'))
    refuses('['.repeat(1_000_000))
    assert.ok(parse(`[${'[],'.repeat(1000)}[]]`))
    assert.throws(() => parseJson(Buffer.from('[[1]]'), { ...LIMITS, maxDepth: 1 }))
  })

  it('refuses bytes that are not UTF-8', () => {
    refuses(Buffer.from([0x22, 0xff, 0x22]))
    refuses(Buffer.from([0x22, 0xc0, 0xaf, 0x22]))
    refuses(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))
    refuses(Buffer.from([0x22, 0xe2, 0x82, 0x22]))
    refuses(Buffer.from('"utf-16"', 'utf16le'))
  })

  it('refuses a byte order mark', () => refuses('\ufeff{}'))

  it('refuses texts over the limit before it reads them', () => {
    assert.throws(() => parseJson(Buffer.from('[1,2]'), { ...LIMITS, maxBytes: 4 }), {
      code: 'MANIFEST_INVALID',
    })
    assert.deepEqual(parseJson(Buffer.from('[1,2]'), { ...LIMITS, maxBytes: 5 }), [1, 2])
  })

  it('refuses what is not JSON', () => {
    const texts = ['', ' ', 'undefined', '{', '}', '{"a"}', '[1,]', '{a:1}', "{'a':1}", 'NaN', '"']
    for (const text of [...texts, '"\\x"', '"\\', '"a\nb"', '01', '1 2', '{}{}', '// x\n{}']) {
      refuses(text)
    }
  })

  it('throws the code that it was told', () => {
    assert.throws(() => parseJson(Buffer.from('{'), { ...LIMITS, code: 'LAYOUT_INVALID' }), {
      code: 'LAYOUT_INVALID',
    })
  })

  it('does not get lost in hostile texts', { timeout: 60_000 }, () => {
    const texts = [
      `[${'"\\\\",'.repeat(100_000)}1]`,
      `"${'\\"'.repeat(400_000)}`,
      `{${Array.from({ length: 60_000 }, (_, n) => `"\\u0061${n}":0`).join()}}`,
      ' '.repeat(1_000_000),
      ','.repeat(1_000_000),
      '"'.repeat(1_000_000),
    ]
    for (const text of texts) attempt(() => parse(text))
  })

  it('reads names and strings of any length', () => {
    const limits = { ...LIMITS, maxBytes: 64 * 1024 * 1024 }
    const long = 'x'.repeat(20_000_000)
    assert.deepEqual(parseJson(Buffer.from(`{"a":"${long}"}`), limits), { a: long })
    assert.deepEqual(parseJson(Buffer.from(`{"${long}":1}`), limits), { [long]: 1 })
    const escaped = `"${'\\n'.repeat(10_000_000)}"`
    assert.equal((parseJson(Buffer.from(escaped), limits) as string).length, 10_000_000)
  })
})

function attempt(parseText: () => unknown): { value: unknown } | undefined {
  try {
    return { value: parseText() }
  } catch {
    return undefined
  }
}
