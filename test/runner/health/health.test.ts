import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { healthCheckOf, mergedHealthcheck } from '#runner/health/check.ts'
import { newHealth, nextHealth, pauseBeforeCheck } from '#runner/health/health.ts'
import { type HealthFlags, parseHealthFlags, parseHealthInstruction } from '#runner/health/parse.ts'

const SECOND = 1e9
const START = '2026-01-01T00:00:00.000Z'
const at = (seconds: number) => new Date(Date.parse(START) + seconds * 1000).toISOString()

describe('a health check', () => {
  for (const [test, command] of [
    [
      ['CMD', 'a', 'b c'],
      ['a', 'b c'],
    ],
    [
      ['CMD-SHELL', 'a || b'],
      ['/bin/sh', '-c', 'a || b'],
    ],
    [['NONE'], undefined],
    [['CMD'], undefined],
    [['WHAT', 'a'], undefined],
    [[], undefined],
  ] as const) {
    it(`of ${JSON.stringify(test)} runs ${JSON.stringify(command) ?? 'nothing'}`, () => {
      assert.deepEqual(healthCheckOf({ Healthcheck: { Test: test } }, {})?.command, command)
    })
  }

  it('has docker’s times where nothing is said', () => {
    assert.deepEqual(healthCheckOf({ Healthcheck: { Test: ['CMD', 'a'], Interval: 0 } }, {}), {
      command: ['a'],
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5000,
      retries: 3,
    })
  })

  it('is run by the shell of the image', () => {
    const config = { Shell: ['bash', '-ec'], Healthcheck: { Test: ['CMD-SHELL', 'a'] } }
    assert.deepEqual(healthCheckOf(config, {})?.command, ['bash', '-ec', 'a'])
  })

  it('of the image is overruled field by field, or altogether', () => {
    const config = { Healthcheck: { Test: ['CMD', 'a'], Interval: SECOND, Retries: 5 } }
    assert.deepEqual(mergedHealthcheck(config, { health: { Interval: 2 * SECOND } }), {
      ...config.Healthcheck,
      Interval: 2 * SECOND,
    })
    assert.equal(healthCheckOf(config, { health: { Test: ['NONE'] } }), undefined)
    assert.equal(mergedHealthcheck({}, {}), undefined)
  })
})

describe('health', () => {
  const check = {
    command: ['a'],
    intervalMs: 30_000,
    timeoutMs: 1000,
    startPeriodMs: 60_000,
    startIntervalMs: 2000,
    retries: 2,
  }
  const after = (...results: readonly (readonly [second: number, exitCode: number])[]) =>
    results.reduce(
      (health, [second, exitCode]) =>
        nextHealth(health, { start: at(second), end: at(second), exitCode, output: '' }, check),
      newHealth(START),
    )

  for (const [what, results, status, streak] of [
    ['nothing was checked', [], 'starting', 0],
    ['one check succeeded', [[1, 0]], 'healthy', 0],
    [
      'checks failed in the start period',
      [
        [1, 1],
        [2, 1],
        [3, 1],
      ],
      'starting',
      0,
    ],
    [
      'checks failed after it',
      [
        [61, 1],
        [62, 1],
      ],
      'unhealthy',
      2,
    ],
    ['too few failed', [[61, 1]], 'starting', 1],
    [
      'checks failed in the start period after one that succeeded',
      [
        [1, 0],
        [2, 1],
        [3, 1],
      ],
      'unhealthy',
      2,
    ],
    [
      'one succeeded at last',
      [
        [61, 1],
        [62, 1],
        [63, 0],
      ],
      'healthy',
      0,
    ],
    [
      'it fails now and then',
      [
        [61, 0],
        [62, -1],
        [63, 0],
        [64, 1],
      ],
      'healthy',
      1,
    ],
  ] as const) {
    it(`is ${status} when ${what}`, () => {
      const health = after(...results)
      assert.deepEqual([health.status, health.failingStreak], [status, streak])
    })
  }

  it('keeps the latest five results', () => {
    const { log } = after([1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 0])
    assert.deepEqual(
      log.map(({ start }) => start),
      [2, 3, 4, 5, 6].map(at),
    )
  })

  it('is checked more often while the container starts', () => {
    const now = (second: number) => Date.parse(at(second))
    assert.equal(pauseBeforeCheck(newHealth(START), check, now(1)), 2000)
    assert.equal(pauseBeforeCheck(newHealth(START), check, now(61)), 30_000)
    assert.equal(pauseBeforeCheck(after([1, 0]), check, now(2)), 30_000)
  })
})

describe('the flags of a health check', () => {
  const flags = (given: Partial<HealthFlags>) => parseHealthFlags({ healthcheck: true, ...given })

  it('say nothing, or what docker’s say', () => {
    assert.equal(flags({}), undefined)
    assert.deepEqual(flags({ healthCmd: 'a || b', healthInterval: '1m30s', healthRetries: 2 }), {
      Test: ['CMD-SHELL', 'a || b'],
      Interval: 90 * SECOND,
      Retries: 2,
    })
    assert.deepEqual(flags({ healthTimeout: '0', healthStartPeriod: '1ms' }), {
      Timeout: 0,
      StartPeriod: 1e6,
    })
  })

  for (const [text, test] of [
    ['["a", "b"]', ['CMD', 'a', 'b']],
    ['["CMD", "a"]', ['CMD', 'a']],
    ['["CMD-SHELL", "a"]', ['CMD-SHELL', 'a']],
    ['[ -f /ready ]', ['CMD-SHELL', '[ -f /ready ]']],
    ['none', ['NONE']],
  ] as const) {
    it(`take ${text} as a command`, () => {
      assert.deepEqual(flags({ healthCmd: text })?.Test, test)
    })
  }

  it('switch it off, and then say nothing else', () => {
    assert.deepEqual(flags({ healthcheck: false }), { Test: ['NONE'] })
    assert.throws(() => flags({ healthcheck: false, healthCmd: 'a' }), { code: 'USAGE' })
  })

  it('are refused when they make no sense', () => {
    for (const given of [
      { healthInterval: 'soon' },
      { healthTimeout: '1us' },
      { healthStartPeriod: '-1s' },
      { healthRetries: -1 },
    ]) {
      assert.throws(() => flags(given), { code: 'USAGE' })
    }
  })
})

describe('HEALTHCHECK of a Dockerfile', () => {
  it('is read as docker does', () => {
    assert.deepEqual(parseHealthInstruction('NONE'), { Test: ['NONE'] })
    assert.deepEqual(parseHealthInstruction('CMD ["a","b"]'), { Test: ['CMD', 'a', 'b'] })
    const line =
      '--interval=5s --retries=2 --start-interval=1s CMD curl -f http://localhost/ || exit 1'
    assert.deepEqual(parseHealthInstruction(line), {
      Test: ['CMD-SHELL', 'curl -f http://localhost/ || exit 1'],
      Interval: 5 * SECOND,
      StartInterval: SECOND,
      Retries: 2,
    })
  })

  for (const line of ['', 'curl', 'CMD', '--every=1s CMD a', '--retries=x CMD a']) {
    it(`is refused: ${JSON.stringify(line)}`, () => {
      assert.throws(() => parseHealthInstruction(line), { code: 'USAGE' })
    })
  }
})
