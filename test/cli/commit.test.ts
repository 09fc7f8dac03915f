import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { commitCommand } from '#cli/commands/commit.ts'
import { takeFlagForms } from '#cli/flag-forms.ts'

describe('dray commit', () => {
  for (const [flags, pause] of [
    [[], true],
    [['-p'], true],
    [['--pause'], true],
    [['--pause=false'], false],
    [['--no-pause'], false],
  ] as const) {
    it(`${pause ? 'pauses' : 'does not pause'} the container with ${flags.join(' ') || 'no flag'}`, () => {
      const command = commitCommand().action(() => {})
      takeFlagForms(command)
      command.parse([...flags, 'web', 'web:2'], { from: 'user' })
      assert.equal(command.opts().pause, pause)
      assert.deepEqual(command.args, ['web', 'web:2'])
    })
  }
})
