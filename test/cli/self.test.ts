import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { programFor } from '#cli/self.ts'

describe('what starts the program again', () => {
  let dir: string

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'dray-self-'))
    mkdirSync(join(dir, 'commands'))
    writeFileSync(join(dir, 'commands/ended.cjs'), '')
  })

  after(() => rmSync(dir, { recursive: true, force: true }))

  const cases = [
    ['ended', 'cli/main.js', 'commands/ended.cjs'],
    ['ended', 'commands/run.cjs', 'commands/ended.cjs'],
    ['system', 'cli/main.js', 'cli/main.js'],
    ['system', 'commands/run.cjs', 'cli/main.js'],
    ['system', 'cli/main.ts', 'cli/main.ts'],
  ] as const
  for (const [command, script, program] of cases) {
    it(`is ${program} for ${command} in ${script}`, () => {
      assert.deepEqual(programFor(command, join(dir, script)), [
        process.execPath,
        join(dir, program),
      ])
    })
  }
})
