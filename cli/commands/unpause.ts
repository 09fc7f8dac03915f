import { Command } from 'commander'
import { forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function unpauseCommand(): Command {
  const command = new Command('unpause')
    .description('Let the processes of paused containers go on')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that are paused')
  return withExamples(withStoreOptions(command), [['dray unpause db', 'go on']]).action(unpause)
}

interface UnpauseOptions extends StoreOptions {
  readonly all?: true
}

async function unpause(references: readonly string[], options: UnpauseOptions): Promise<void> {
  const { resumeContainer } = await import('#runner/verbs/pause.ts')
  const { root } = runnerContext(options)
  const named = await namedOrAll(root, references, options, 'that are paused')
  await forEachContainer(root, named, resumeContainer)
}
