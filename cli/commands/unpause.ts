import { Command } from 'commander'
import { forEachContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function unpauseCommand(): Command {
  const command = new Command('unpause')
    .description('Let the processes of paused containers go on')
    .argument('<container...>', 'names or ids')
  return withExamples(withStoreOptions(command), [['dray unpause db', 'go on']]).action(unpause)
}

async function unpause(references: readonly string[], options: StoreOptions): Promise<void> {
  const { resumeContainer } = await import('#runner/verbs/pause.ts')
  await forEachContainer(runnerContext(options).root, references, resumeContainer)
}
