import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatAccess, parseAccess, parseScopes } from '#registry/auth/tokens/scopes.ts'

describe('the scopes that a client asks for', () => {
  it('are read one by one or together', () => {
    const expected = [
      { type: 'repository', name: 'a/b', actions: ['pull', 'push'] },
      { type: 'repository', name: 'c', actions: ['pull', 'push', 'delete'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]
    for (const texts of [
      ['repository:a/b:pull,push', 'repository:c:*', 'registry:catalog:*'],
      ['repository:a/b:pull,push repository:c:* registry:catalog:*'],
      [' repository:a/b:pull repository:a/b:push,pull  repository:c:*', 'registry:catalog:*', ''],
    ]) {
      assert.deepEqual(formatAccess(parseScopes(texts)), expected)
    }
    assert.deepEqual(
      parseAccess(expected),
      parseScopes(['repository:a/b:pull,push', 'repository:c:*', 'registry:catalog:*']),
    )
    assert.deepEqual(formatAccess(parseScopes([])), [])
  })

  for (const scope of [
    'repository',
    'repository:',
    'repository:a',
    'repository:a:',
    'repository::pull',
    'repository:*:pull',
    'repository:**:*',
    'repository:a/*:pull',
    'repository:../a:pull',
    'repository:a/../b:pull',
    'repository:a/:pull',
    'repository:/a:pull',
    'repository:A:pull',
    'repository:a%2fb:pull',
    'repository:a\tb:pull',
    'repository:a\0:pull',
    'repository:a:pull,',
    'repository:a:,pull',
    'repository:a:PULL',
    'repository:a:pull:push',
    'repository:a:overwrite',
    'repository:a:list',
    'repository:a:admin',
    'repository:a:pull,*,root',
    'repository:host:5000/a:pull',
    'repository(plugin):a:pull',
    'Repository:a:pull',
    'registry:catalog:pull',
    'registry:catalog',
    'registry:*:*',
    'registry:a:*',
    'user:a:*',
    '*',
    '*:*:*',
    ':::',
    `repository:${'a'.repeat(256)}:pull`,
  ]) {
    it(`are refused when one is ${JSON.stringify(scope.slice(0, 40))}`, () => {
      assert.throws(() => parseScopes([scope]), { code: 'REQUEST_INVALID' })
      assert.throws(() => parseScopes([`repository:a:pull ${scope}`]), { code: 'REQUEST_INVALID' })
    })
  }

  it('are refused when they are too many', () => {
    const many = Array.from({ length: 101 }, (_, i) => `repository:a${i}:pull`)
    parseScopes(many.slice(1))
    assert.throws(() => parseScopes(many), { code: 'REQUEST_INVALID' })
    assert.throws(() => parseScopes(['x'.repeat(20_000)]), { code: 'REQUEST_INVALID' })
  })
})
