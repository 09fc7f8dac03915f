import { Command } from 'commander'
import { forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function pauseCommand(): Command {
  const command = new Command('pause')
    .description('Freeze all processes of containers')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that run')
  return withExamples(withStoreOptions(command), [
    ['dray pause db', 'until dray unpause db'],
  ]).action(pause)
}

interface PauseOptions extends StoreOptions {
  readonly all?: true
}

async function pause(references: readonly string[], options: PauseOptions): Promise<void> {
  const { pauseContainer } = await import('#runner/verbs/pause.ts')
  const { root } = runnerContext(options)
  const named = await namedOrAll(root, references, options, 'that run and are not paused')
  await forEachContainer(root, named, pauseContainer)
}
