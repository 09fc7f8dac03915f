import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ADVISORIES, advisoriesOf } from '#runner/advisories.ts'

const idsOf = (runtime: string, version: string | undefined) =>
  advisoriesOf(runtime, version).map(({ id }) => id)

describe('the holes of a runtime', () => {
  for (const [version, isFixed] of [
    ['runc version 1.1.5+ds1', false],
    ['runc version 1.2.7', false],
    ['runc version 1.2.8', true],
    ['runc version 1.3.2', false],
    ['runc version 1.3.3', true],
    ['runc version 1.4.0-rc.2', false],
    ['runc version 1.4.0', true],
    ['runc version 1.5.1', true],
    ['runc version 2.0', true],
  ] as const) {
    it(`are read from ${version}`, () => {
      assert.equal(!idsOf('runc', version).includes('CVE-2025-31133'), isFixed)
    })
  }

  it('are all of them when it says no version, and none of another runtime', () => {
    const own = ADVISORIES.filter(({ runtime }) => runtime === 'crun').map(({ id }) => id)
    assert.deepEqual(idsOf('crun', undefined), own)
    assert.deepEqual(idsOf('crun', 'crun version 1.28'), [])
    assert.deepEqual(idsOf('runsc', 'runsc version 1'), [])
  })

  it('are all explained on the page about security', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/security.md'), 'utf8')
    for (const { id } of ADVISORIES) assert.match(page, new RegExp(id))
  })
})
