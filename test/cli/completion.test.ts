import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Command } from 'commander'
import { completionScript, completionsOf, SHELLS } from '#cli/completion.ts'
import { dray } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'

const program = new Command('dray')
  .addCommand(new Command('stop').argument('<container...>').option('-t, --time <s>', 'how long'))
  .addCommand(new Command('network').addCommand(new Command('create').option('--internal', 'x')))
  .addCommand(new Command('ended').argument('<id>'))

describe('completion', () => {
  it('offers commands, their options, and names of what they are about', () => {
    assert.deepEqual(completionsOf(program), [
      { path: '', words: ['stop', 'network'], names: undefined },
      { path: 'stop', words: ['--time', '--help'], names: 'container' },
      { path: 'network', words: ['create'], names: undefined },
      { path: 'network create', words: ['--internal', '--help'], names: undefined },
    ])
  })

  it('works in bash', (t) => {
    const script = join(tempDir(t), 'dray')
    writeFileSync(script, completionScript('bash', completionsOf(program)))
    const offered = (...words: string[]) => {
      const line = `. ${script}; dray() { printf 'web\\ndb\\n'; }
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dray; echo "\${COMPREPLY[*]}"`
      return execFileSync('bash', ['-c', line, 'bash', ...words], { encoding: 'utf8' }).trim()
    }
    assert.equal(offered('dray', ''), 'stop network')
    assert.equal(offered('dray', 'st'), 'stop')
    assert.equal(offered('dray', 'network', ''), 'create')
    assert.equal(offered('dray', 'network', 'create', '--i'), '--internal')
    assert.equal(offered('dray', 'stop', '-t', '5', ''), 'web db')
    assert.equal(offered('dray', 'stop', '--'), '--time --help')
  })

  it('knows the verbs of the program, in every shell', async () => {
    for (const shell of SHELLS) {
      const { code, stdout } = await dray(['completion', shell])
      assert.equal(code, 0)
      assert.match(stdout, shell === 'fish' ? /"\.run"' -l entrypoint/ : /run.*--entrypoint/s)
    }
  })

  for (const shell of SHELLS) {
    it(`is what ${shell} can read, where it is installed`, (t) => {
      const script = join(tempDir(t), 'dray')
      writeFileSync(script, completionScript(shell, completionsOf(program)))
      const { error, status, stderr } = spawnSync(shell, ['-n', script], { encoding: 'utf8' })
      if (error !== undefined) return t.skip(`${shell} is not installed`)
      assert.equal(status, 0, stderr)
    })
  }
})
