import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { COMMANDS } from '#cli/commands/index.ts'

/** A command, or those for people that it is made of, each with the words that name it. */
function verbsOf(command: Command, words: string): { words: string; command: Command }[] {
  if (command.commands.length === 0) return [{ words, command }]
  const shown = command.createHelp().visibleCommands(command)
  return command.commands
    .filter((each) => shown.includes(each))
    .flatMap((each) => verbsOf(each, `${words} ${each.name()}`))
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) })
  command.outputHelp()
  return text
}

describe('the help of every verb', () => {
  for (const [name, load] of Object.entries(COMMANDS)) {
    if (name === 'ended') continue
    it(`has an example that begins with dray ${name}`, async () => {
      for (const { words, command } of verbsOf(await load([name]), `dray ${name}`)) {
        assert.match(helpOf(command), new RegExp(`^Examples:\n  .*${words}\\b`, 'm'), words)
      }
    })
  }
})
