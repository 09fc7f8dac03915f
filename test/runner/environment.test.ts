import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  buildEnvironment,
  type EnvironmentParts,
  findVariable,
  withValues,
} from '#runner/environment.ts'

const DEFAULTS = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'HOSTNAME=box',
  'HOME=/root',
]

function build(parts: Partial<EnvironmentParts>): string[] {
  const none = { hostname: 'box', home: '/root', tty: false, image: [], options: [] }
  return buildEnvironment({ ...none, ...parts })
}

describe('the environment', () => {
  it('has a PATH, a host name and a home by default', () => {
    assert.deepEqual(build({}), DEFAULTS)
  })

  it('has TERM with a terminal only', () => {
    assert.ok(build({ tty: true }).includes('TERM=xterm'))
    assert.equal(findVariable(build({}), 'TERM'), undefined)
  })

  it('takes the image over the defaults and the options over the image, each key once', () => {
    const env = build({ image: ['PATH=/app', 'A=1', 'B=2'], options: ['B=3', 'HOME=/x', 'C=a=b'] })
    assert.deepEqual(env, ['PATH=/app', 'HOSTNAME=box', 'HOME=/x', 'A=1', 'B=3', 'C=a=b'])
  })

  it('takes the value of the host for a key alone, and drops the key when there is none', () => {
    const options = withValues(['A', 'B', 'C=D'], { A: 'host', C: 'host' })
    assert.deepEqual(options, ['A=host', 'B', 'C=D'])
    const env = build({ image: ['A=1', 'B=2'], options })
    assert.deepEqual(env, [...DEFAULTS, 'A=host', 'C=D'])
  })

  it('keeps an empty value', () => {
    assert.deepEqual(build({ options: ['A='] }), [...DEFAULTS, 'A='])
  })

  it('leaves out entries of an image that are no variables', () => {
    assert.deepEqual(build({ image: ['A', '=x', ''] }), DEFAULTS)
  })

  it('takes names of Object.prototype as ordinary ones', () => {
    assert.deepEqual(build({ options: ['__proto__=x'] }), [...DEFAULTS, '__proto__=x'])
  })
})
