import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseVolume } from '#runner/index.ts'
import { type ContainerOptions, checkOptions, isInside, normalPath } from '#runner/options.ts'
import { parseMountFlag, parseTmpfsFlag, parseVolumeFlag } from '#runner/volumes/parse.ts'

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
  { domainname: 'a b' },
  { uts: 'host', domainname: 'a' },
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
  { ...parseVolumeFlag('name:/x'), volumes: [parseVolume('/a:/x')] },
  { ...parseTmpfsFlag('/x'), volumes: [parseVolume('/a:/x')] },
  { uts: 'host', hostname: 'a' },
  { stopSignal: 'FOO' },
  { memorySwap: 1e9 },
  { memory: 2e9, memorySwap: 1e9 },
  { cpus: 1, cpuQuota: 50_000 },
  { cpus: 1, cpuPeriod: 50_000 },
  { memory: 1e9, memoryReservation: 2e9 },
]

const GOOD_OPTIONS: readonly ContainerOptions[] = [
  {},
  { hostname: 'a' },
  { hostname: 'a.b-c.example' },
  { env: ['A=', 'A==', 'A', 'A=b=c'] },
  { volumes: [parseVolume('/a:/x'), parseVolume('/a:/x/y')] },
  { stopSignal: 'RTMIN+3' },
  { memory: 1e9, memorySwap: -1 },
  { cpuPeriod: 50_000, cpuQuota: 50_000 },
  { memory: 1e9, memorySwap: 1e9, memoryReservation: 1e9 },
]

describe('a volume flag with one word that is no path', () => {
  it('is told as it was typed', () => {
    const says = /^invalid volume "data": write \[\/HOST/
    assert.throws(() => parseVolumeFlag('data'), { code: 'USAGE', message: says })
  })
})

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

const BAD_MOUNTS = [
  '',
  'x',
  'type=bind',
  'type=image,source=a,target=/x',
  'type=bind,target=/x',
  'type=bind,source=a,target=/x',
  'type=bind,source=/a,target=x',
  'type=bind,source=/a,target=/x,ro=maybe',
  'type=bind,source=/a,target=/x,bind-propagation=much',
  'type=volume,source=a,target=/x,volume-nocopy=perhaps',
  'type=tmpfs,source=/a,target=/x',
  'type=tmpfs,target=/x,tmpfs-mode=9',
  'type=tmpfs,target=/x,tmpfs-size=much',
  'type=bind,"source=/a,target=/x',
  'type=bind,source="/a,b",target=/x',
  'type=bind,"source=/a"b,target=/x',
]

describe('--mount', () => {
  for (const text of BAD_MOUNTS) {
    it(`is not read from ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseMountFlag(text), { code: 'USAGE', message: /^invalid/ })
    })
  }

  it('is read as CSV', () => {
    for (const [text, path] of [
      ['type=bind,"source=/a,b",target=/x', '/a,b'],
      ['"type=bind","source=/a ""b"" c","target=/x"', '/a "b" c'],
    ] as const) {
      assert.equal(parseMountFlag(text).volumes[0]?.hostPath, path)
    }
  })

  it('is read with its yes and no', () => {
    const [bind] = parseMountFlag('type=bind,src=/a,dst=/x,readonly=false').volumes
    assert.deepEqual([bind?.hostPath, bind?.readOnly, bind?.mustExist], ['/a', false, true])
    const copies = (text: string) => parseMountFlag(text).namedVolumes.map((each) => each.copiesUp)
    assert.deepEqual(copies('src=a,dst=/x,volume-nocopy=false'), [true])
    assert.deepEqual(copies('src=a,dst=/x,volume-nocopy'), [false])
  })
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
