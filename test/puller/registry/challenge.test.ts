import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseChallenge } from '#puller/registry/challenge.ts'
import { isLoopback } from '#puller/registry/endpoint.ts'
import { parseRetryAfter } from '#puller/registry/http.ts'

describe('parseChallenge', () => {
  it('reads what registries ask for', () => {
    const bearer =
      'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"'
    assert.deepEqual(
      { ...parseChallenge(bearer)?.parameters },
      { realm: 'https://auth.example/token', service: 'reg', scope: 'repository:a/b:pull,push' },
    )
    assert.equal(parseChallenge(bearer)?.scheme, 'bearer')
    assert.equal(parseChallenge('Basic realm="x"')?.scheme, 'basic')
    assert.equal(parseChallenge('BEARER Realm=x')?.parameters.realm, 'x')
    assert.equal(parseChallenge(String.raw`Bearer realm="a\"b"`)?.parameters.realm, 'a"b')
  })

  const SEVERAL: readonly (readonly [header: string, realm: string | undefined])[] = [
    ['Basic realm="b", Bearer realm="t",service="s"', 't'],
    ['Bearer realm="t", Basic realm="b"', 't'],
    ['Negotiate, Basic realm="b"', 'b'],
    ['NTLM, Negotiate', undefined],
  ]
  for (const [header, realm] of SEVERAL) {
    it(`prefers what it can answer, a token first: ${header}`, () => {
      assert.equal(parseChallenge(header)?.parameters.realm, realm)
    })
  }

  it('makes nothing of what is no challenge', () => {
    assert.equal(parseChallenge(''), undefined)
    assert.equal(parseChallenge('!!'), undefined)
    assert.equal(parseChallenge(`Bearer realm="${'x'.repeat(10_000)}"`), undefined)
    assert.deepEqual(
      { ...parseChallenge('Bearer __proto__="x"')?.parameters },
      { ['__proto__']: 'x' },
    )
  })
})

describe('isLoopback', () => {
  it('knows the names of this machine, and no name that looks like them', () => {
    for (const name of ['localhost', '127.0.0.1', '127.9.8.7', '[::1]', 'LOCALHOST'])
      assert.equal(isLoopback(name), true)
    for (const name of [
      'localhost.example',
      '127.0.0.1.example',
      '128.0.0.1',
      '[::2]',
      'xlocalhost',
    ]) {
      assert.equal(isLoopback(name), false)
    }
  })
})

describe('parseRetryAfter', () => {
  it('takes seconds and dates', () => {
    assert.equal(parseRetryAfter('3'), 3000)
    const now = Date.parse('2026-01-01T00:00:00Z')
    assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:10 GMT', now), 10_000)
    assert.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0)
  })

  it('makes nothing of anything else', () => {
    for (const header of [undefined, '', 'soon', '-1', '99999999999'])
      assert.equal(parseRetryAfter(header), undefined)
  })
})
