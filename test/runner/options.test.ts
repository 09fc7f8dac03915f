import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseVolume } from '#runner/index.ts'
import { type ContainerOptions, checkOptions, isInside, normalPath } from '#runner/options.ts'

const VOLUMES: readonly (readonly [string, string, string, boolean])[] = [
  ['/a:/b', '/a', '/b', false],
  ['/a:/b:rw', '/a', '/b', false],
  ['/a/:/b/:ro', '/a', '/b', true],
  ['/a//x/../y:/b/./c', '/a/y', '/b/c', false],
  ['/with space:/b', '/with space', '/b', false],
  ['/dev/null:/dev/x', '/dev/null', '/dev/x', false],
  ['/:/host:ro', '/', '/host', true],
]

const BAD_VOLUMES = [
  '',
  ':',
  '/a',
  '/a:',
  ':/b',
  'a:/b',
  './a:/b',
  '/a:b',
  '/a:/b:',
  '/a:/b:rx',
  '/a:/b:ro:rw',
  '/a:/',
  '/a:/..',
  '/a:/x/..',
  '/a:/proc',
  '/a:/proc/self',
  '/a:/x/../proc/sys',
]

const BAD_OPTIONS: readonly ContainerOptions[] = [
  { workdir: 'relative' },
  { workdir: '' },
  { hostname: '' },
  { hostname: '-a' },
  { hostname: 'a_b' },
  { hostname: 'a b' },
  { hostname: 'a/b' },
  { hostname: 'a'.repeat(65) },
  { env: [''] },
  { env: ['=x'] },
  { env: ['A=\0'] },
  { command: ['a\0b'] },
  { entrypoint: ['\0'] },
  { volumes: [parseVolume('/a:/x'), parseVolume('/b:/x/')] },
]

const GOOD_OPTIONS: readonly ContainerOptions[] = [
  {},
  { hostname: 'a' },
  { hostname: 'a.b-c.example' },
  { env: ['A=', 'A==', 'A', 'A=b=c'] },
  { volumes: [parseVolume('/a:/x'), parseVolume('/a:/x/y')] },
]

describe('a volume', () => {
  for (const [text, hostPath, containerPath, readOnly] of VOLUMES) {
    it(`is read from ${text}`, () => {
      assert.deepEqual(parseVolume(text), { hostPath, containerPath, readOnly })
    })
  }

  for (const text of BAD_VOLUMES) {
    it(`is not read from ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseVolume(text), { code: 'USAGE' })
    })
  }
})

describe('options', () => {
  for (const options of BAD_OPTIONS) {
    it(`are refused: ${JSON.stringify(options)}`, () => {
      assert.throws(() => checkOptions(options), { code: 'USAGE' })
    })
  }

  for (const options of GOOD_OPTIONS) {
    it(`are taken: ${JSON.stringify(options)}`, () => checkOptions(options))
  }
})

describe('paths inside', () => {
  it('are normal', () => {
    assert.equal(normalPath(''), '/')
    assert.equal(normalPath('a/b/'), '/a/b')
    assert.equal(normalPath('/../../a'), '/a')
    assert.equal(normalPath('//'), '/')
  })

  it('are inside of a directory by whole names', () => {
    assert.equal(isInside('/proc', '/proc'), true)
    assert.equal(isInside('/proc/1', '/proc'), true)
    assert.equal(isInside('/process', '/proc'), false)
    assert.equal(isInside('/a', '/'), true)
  })
})
