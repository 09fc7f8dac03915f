import { Command } from 'commander'
import { forEachContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function pauseCommand(): Command {
  const command = new Command('pause')
    .description('Freeze all processes of containers')
    .argument('<container...>', 'names or ids')
  return withExamples(withStoreOptions(command), [
    ['dray pause db', 'until dray unpause db'],
  ]).action(pause)
}

async function pause(references: readonly string[], options: StoreOptions): Promise<void> {
  const { pauseContainer } = await import('#runner/verbs/pause.ts')
  await forEachContainer(runnerContext(options).root, references, pauseContainer)
}
