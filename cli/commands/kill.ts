import { Command } from 'commander'
import { type Chosen, forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withIdFiles, withStoreOptions } from './options.ts'

interface KillOptions extends StoreOptions, Chosen {
  readonly signal: string
}

export function killCommand(): Command {
  const command = new Command('kill')
    .description('Send a signal to the first process of containers')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that run')
    .option('-s, --signal <signal>', 'a name or a number', 'KILL')
  return withExamples(withStoreOptions(withIdFiles(command)), [
    ['dray kill web', 'end it at once'],
    ['dray kill -s HUP web', 'have it read its configuration again'],
  ]).action(kill)
}

async function kill(references: readonly string[], options: KillOptions): Promise<void> {
  const { killContainer } = await import('#runner/verbs/kill.ts')
  const { root } = runnerContext(options)
  const { signal } = options
  const names = await namedOrAll(root, references, options, 'that run')
  await forEachContainer(root, names, (container) => killContainer(root, container, signal))
}
