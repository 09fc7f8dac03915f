import { Command } from 'commander'
import { forEachContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface KillOptions extends StoreOptions {
  readonly signal: string
}

export function killCommand(): Command {
  const command = new Command('kill')
    .description('Send a signal to the first process of containers')
    .argument('<container...>', 'names or ids')
    .option('-s, --signal <signal>', 'a name or a number', 'KILL')
  return withExamples(withStoreOptions(command), [
    ['dray kill web', 'end it at once'],
    ['dray kill -s HUP web', 'have it read its configuration again'],
  ]).action(kill)
}

async function kill(references: readonly string[], options: KillOptions): Promise<void> {
  const { killContainer } = await import('#runner/verbs/kill.ts')
  const { root } = runnerContext(options)
  await forEachContainer(root, references, (container) =>
    killContainer(root, container, options.signal),
  )
}
