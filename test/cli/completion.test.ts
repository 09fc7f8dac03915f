import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { completionScript, completionsOf, SHELLS, type Shell } from '#cli/completion.ts'
import { afterTest } from '../support/after.ts'
import { dray } from '../support/dray.ts'
import { tempDir } from '../support/temp-dir.ts'

const program = new Command('dray')
  .addCommand(new Command('stop').argument('<container...>').option('-t, --time <s>', 'how long'))
  .addCommand(new Command('rmi').argument('<image...>').option('--force', 'x'))
  .addCommand(new Command('inspect').argument('<thing...>'))
  .addCommand(new Command('import').argument('<source>').argument('<image>'))
  .addCommand(
    new Command('network')
      .addCommand(new Command('create').option('--internal', 'x'))
      .addCommand(new Command('connect').argument('<network>').argument('<container>')),
  )
  .addCommand(new Command('volume').addCommand(new Command('rm').argument('<volume...>')))
  .addCommand(new Command('ended').argument('<id>'))

/** A program that has something of each kind, and else says what it was given. */
const FAKE = `#!/bin/sh
case "$1 $2" in
  'ps -a') printf 'web\\ndb\\n' ;;
  'images -f') printf 'docker.io/library/busybox:1\\nlocalhost:5000/team/app:2\\n' ;;
  'network ls') echo lan ;;
  'volume ls') echo data ;;
  *) echo "ran: $*." ;;
esac
`

/** What shells take a line for, whose last word is completed: from the keyboard, at a terminal. */
const TYPED: readonly (readonly [typed: string, ran: string])[] = [
  ['dray st\tw\t', 'stop web'],
  ['dray stop -t 5 d\t', 'stop -t 5 db'],
  ['dray rmi bus\t', 'rmi busybox:1'],
  ['dray rmi busybox:\t', 'rmi busybox:1'],
  ['dray rmi docker\t', 'rmi docker.io/library/busybox:1'],
  ['dray rmi localhost:50\t', 'rmi localhost:5000/team/app:2'],
  ['dray rmi --f\tbusybox:\t', 'rmi --force busybox:1'],
  ['dray inspect da\t', 'inspect data'],
  ['dray network conn\tl\tw\t', 'network connect lan web'],
  ['dray volume rm \t', 'volume rm data'],
]

/** How a shell is started that reads no settings of anybody and has learned of dray. */
const INTERACTIVE = {
  bash: (script: string) => [`bash --norc --noprofile -i`, `source ${script}`],
  zsh: (script: string) => [`zsh -f -i`, `autoload -U compinit; compinit -D -u; source ${script}`],
} as const

describe('completion', () => {
  it('offers commands, their options, and names of what they are about', () => {
    assert.deepEqual(completionsOf(program), [
      {
        path: '',
        words: ['stop', 'rmi', 'inspect', 'import', 'network', 'volume'],
        names: [],
      },
      { path: 'stop', words: ['--time', '--help'], names: ['container'] },
      { path: 'rmi', words: ['--force', '--help'], names: ['image'] },
      {
        path: 'inspect',
        words: ['--help'],
        names: ['container', 'image', 'network', 'volume'],
      },
      { path: 'import', words: ['--help'], names: [] },
      { path: 'network', words: ['create', 'connect'], names: [] },
      { path: 'network create', words: ['--internal', '--help'], names: [] },
      { path: 'network connect', words: ['--help'], names: ['container', 'network'] },
      { path: 'volume', words: ['rm'], names: [] },
      { path: 'volume rm', words: ['--help'], names: ['volume'] },
    ])
  })

  /** Where the program and what a shell knows of it are. */
  const prepare = (t: TestContext, shell: Shell) => {
    const dir = tempDir(t)
    writeFileSync(join(dir, 'dray'), FAKE, { mode: 0o755 })
    const script = join(dir, `completion.${shell}`)
    writeFileSync(script, completionScript(shell, completionsOf(program)))
    return { script, env: { ...process.env, PATH: `${dir}:${process.env.PATH}`, TERM: 'dumb' } }
  }

  for (const [shell, start] of Object.entries(INTERACTIVE)) {
    it(`completes what is typed in ${shell}`, async (t) => {
      if (spawnSync(shell, ['-c', 'exit']).error) return t.skip(`${shell} is not installed`)
      const { script, env } = prepare(t, shell as Shell)
      const [command = '', learn] = start(script)
      const terminal = spawn('script', ['-qec', command, '/dev/null'], { env })
      afterTest(t, () => void terminal.kill())
      let shown = ''
      terminal.stdout.on('data', (chunk) => (shown += chunk))
      const until = async (text: string) => {
        for (const deadline = Date.now() + 60_000; !shown.includes(text); await sleep(20))
          if (Date.now() > deadline) assert.fail(`${text} did not come: ${shown}`)
      }
      // The terminal echoes what is typed, but not so.
      terminal.stdin.write(`${learn}; echo rea""dy\n`)
      await until('ready')
      for (const [typed, ran] of TYPED) {
        terminal.stdin.write(`${typed}\n`)
        await until(`ran: ${ran}.`)
      }
      terminal.stdin.end('exit\n')
      await once(terminal, 'exit')
    })
  }

  it('completes what is typed in fish', (t) => {
    const { script, env } = prepare(t, 'fish')
    const offered = (line: string) =>
      spawnSync('fish', ['--no-config', '-c', `source ${script}; complete -C '${line}'`], {
        env,
        encoding: 'utf8',
      })
    if (offered('').error) return t.skip('fish is not installed')
    for (const [typed, ran] of TYPED) {
      const [line = ''] = /^[^\t]*/.exec(typed) ?? []
      if (typed !== `${line}\t`) continue
      assert.equal(offered(line).stdout.trim(), ran.split(' ').at(-1), line)
    }
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
