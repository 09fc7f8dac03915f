import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  formatPlatform,
  hostPlatform,
  isForeign,
  matchPlatform,
  parsePlatform,
} from '#oci/platform.ts'

const PARSED: readonly (readonly [string, string])[] = [
  ['linux/amd64', 'linux/amd64'],
  ['Linux/AMD64', 'linux/amd64'],
  ['amd64', 'linux/amd64'],
  ['x86_64', 'linux/amd64'],
  ['x86-64', 'linux/amd64'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64/v8'],
  ['i386', 'linux/386'],
  ['armhf', 'linux/arm/v7'],
  ['armel', 'linux/arm/v6'],
  ['linux/arm/v6', 'linux/arm/v6'],
  ['linux/armhf/v6', 'linux/arm/v6'],
  ['windows/amd64', 'windows/amd64'],
  ['linux/constructor', 'linux/constructor'],
]

/** What is wanted, what is offered, and whether it runs. */
const MATCHES: readonly (readonly [string, string, boolean])[] = [
  ['linux/amd64', 'linux/amd64', true],
  ['linux/amd64', 'linux/amd64/v1', true],
  ['linux/amd64', 'linux/amd64/v3', false],
  ['linux/amd64/v3', 'linux/amd64', false],
  ['linux/arm64', 'linux/arm64/v8', true],
  ['linux/arm64/v8', 'linux/arm64', true],
  ['linux/arm/v7', 'linux/arm/v5', true],
  ['linux/arm/v5', 'linux/arm/v7', false],
  ['linux/arm64', 'linux/arm/v7', false],
  ['linux/amd64', 'windows/amd64', false],
  ['linux/arm/v7', 'linux/arm/soft', false],
]

/** What is wanted, what the config of an image says, and whether that is for another machine. */
const CONFIGS: readonly (readonly [string, string, boolean])[] = [
  ['linux/amd64', 'linux/amd64', false],
  ['linux/amd64', 'linux/amd64/v3', false],
  ['linux/amd64/v3', 'linux/amd64', false],
  ['linux/amd64', 'Linux/x86_64', false],
  ['linux/amd64', 'linux/386', false],
  ['linux/386', 'linux/amd64', true],
  ['linux/arm64', 'linux/aarch64', false],
  ['linux/arm64', 'linux/arm64/v9', false],
  ['linux/arm64', 'linux/arm/v7', false],
  ['linux/arm64', 'linux/amd64', true],
  ['linux/amd64', 'linux/arm64/v8', true],
  ['linux/arm/v6', 'linux/armhf', true],
  ['linux/arm/v7', 'linux/armel', false],
  ['linux/arm', 'linux/arm64', true],
  ['linux/amd64', 'windows/amd64', true],
  ['linux/amd64', 'wasi/wasm', true],
  ['linux/amd64', '/', false],
  ['linux/arm64', 'linux/', false],
]

describe('platform', () => {
  for (const [text, expected] of PARSED) {
    it(`reads ${text} as ${expected}`, () => {
      assert.equal(formatPlatform(parsePlatform(text)), expected)
    })
  }

  for (const text of [
    '',
    '/',
    'linux/',
    '/amd64',
    'a/b/c/d',
    'linux amd64',
    'linux/amd64\n',
    'é',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePlatform(text), { code: 'PLATFORM_INVALID' })
    })
  }

  for (const [wanted, offered, runs] of MATCHES) {
    it(`${runs ? 'runs' : 'does not run'} ${offered} where ${wanted} is wanted`, () => {
      assert.equal(matchPlatform(parsePlatform(wanted), parsePlatform(offered)) > 0, runs)
    })
  }

  for (const [wanted, config, expected] of CONFIGS) {
    it(`finds ${config} ${expected ? 'foreign' : 'at home'} on ${wanted}`, () => {
      const [os = '', architecture = '', variant] = config.split('/')
      assert.equal(isForeign(parsePlatform(wanted), { os, architecture, variant }), expected)
    })
  }

  it('prefers the same variant, then the nearest lower one', () => {
    const score = (variant: string) =>
      matchPlatform(parsePlatform('linux/arm/v7'), parsePlatform(`linux/arm/${variant}`))
    assert.ok(score('v7') > score('v6') && score('v6') > score('v5') && score('v5') > 0)
  })

  it("names this machine in Go's words", () => {
    assert.equal(formatPlatform(hostPlatform('x64')), 'linux/amd64')
    assert.equal(formatPlatform(hostPlatform('arm64')), 'linux/arm64')
    assert.equal(formatPlatform(hostPlatform('arm')), 'linux/arm/v7')
    assert.equal(formatPlatform(hostPlatform('ia32')), 'linux/386')
    assert.equal(formatPlatform(hostPlatform('s390x')), 'linux/s390x')
    assert.equal(formatPlatform(hostPlatform('riscv64')), 'linux/riscv64')
    assert.equal(hostPlatform().os, 'linux')
  })

  it('parses what it formats', () => {
    const part = fc.stringMatching(/^[a-z0-9_.-]{1,10}$/)
    const platforms = fc.record({ os: part, architecture: part, variant: part })
    fc.assert(
      fc.property(platforms, (platform) => {
        const once = parsePlatform(formatPlatform(platform))
        assert.deepEqual(parsePlatform(formatPlatform(once)), once)
      }),
    )
  })

  it('runs every platform on itself', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,10}$/)
    fc.assert(
      fc.property(fc.record({ os: part, architecture: part, variant: part }), (platform) => {
        assert.equal(matchPlatform(platform, platform), 100)
      }),
    )
  })
})
