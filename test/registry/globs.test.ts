import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseGlob } from '#registry/globs.ts'

const MATCHES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['a/b', ['a/b'], ['a', 'a/b/c', 'a/bc', 'A/b']],
  ['*', ['a', 'a.b-c_d'], ['a/b', 'a/']],
  ['team-*', ['team-', 'team-a', 'team-a-b'], ['team', 'team-a/b', 'xteam-a']],
  ['a/*', ['a/b'], ['a', 'a/b/c', 'ab']],
  ['a/**', ['a/b', 'a/b/c'], ['a', 'ab', 'ab/c', 'b/a/c']],
  ['**', ['a', 'a/b', 'a/b/c'], []],
  ['**/a', ['a', 'b/a', 'c/b/a'], ['a/b', 'ba', 'a/ba']],
  ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z', 'a/z/z'], ['a', 'z', 'a/zz', 'a/b/z/y']],
  ['a/*-*/b', ['a/x-y/b', 'a/-/b', 'a/x-y-z/b'], ['a/xy/b', 'a/x/y-/b']],
  ['uri://a/**', ['uri://a/b', 'uri://a/b/c'], ['uri://a', 'uri:/a/b', 'uri://b/a']],
  ['a*b*c', ['abc', 'aabbcc', 'abcbc'], ['ab', 'acb', 'abcd']],
]

describe('a glob', () => {
  for (const [pattern, matching, others] of MATCHES) {
    it(`${pattern} matches what it should, and nothing else`, () => {
      const matches = parseGlob(pattern)
      for (const text of matching) assert.ok(matches(text), text)
      for (const text of others) assert.ok(!matches(text), text)
    })
  }

  it('is refused when it could mean more than one thing', () => {
    for (const pattern of ['', 'a**', '**b', 'a/**b/c', '***']) {
      assert.throws(() => parseGlob(pattern), { code: 'CONFIG_INVALID' }, pattern)
    }
  })

  it('agrees with the regular expression that says the same', () => {
    const letters = fc.constantFrom('a', 'b', '*')
    const component = fc.oneof(
      fc.constant('**'),
      fc
        .array(letters, { minLength: 1, maxLength: 4 })
        .map((each) => each.join('').replace(/\*+/g, '*')),
    )
    const text = fc
      .array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 5,
      })
      .map((each) => each.join('/'))
    fc.assert(
      fc.property(fc.array(component, { minLength: 1, maxLength: 4 }), text, (components, name) => {
        const pattern = components.join('/')
        assert.equal(parseGlob(pattern)(name), regExpOf(components).test(name), pattern)
      }),
      { numRuns: 2000 },
    )
  })

  it('takes no time that grows with the number of its wildcards', () => {
    const matches = parseGlob(`${'*a'.repeat(200)}b`)
    assert.equal(matches('a'.repeat(255)), false)
  })
})

/** Each component with the slash before it. */
function regExpOf(components: readonly string[]): RegExp {
  const source = components.map((component, i) => {
    if (component === '**') return i === components.length - 1 ? '(?:/[^/]+)+' : '(?:/[^/]+)*'
    return `/${component.replaceAll('*', '[^/]*')}`
  })
  const pattern = new RegExp(`^${source.join('')}$`)
  return { test: (name: string) => pattern.test(`/${name}`) } as RegExp
}
