import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function renameCommand(): Command {
  const command = new Command('rename')
    .description('Give a container another name')
    .argument('<container>', 'name or id')
    .argument('<name>', 'its new name')
  return withExamples(withStoreOptions(command), [
    ['dray rename web web-old', 'the name web is free again'],
  ]).action(rename)
}

async function rename(reference: string, name: string, options: StoreOptions): Promise<void> {
  const { renameContainer } = await import('#runner/verbs/rename.ts')
  const { root } = runnerContext(options)
  await renameContainer(root, await openContainer(root, reference), name)
}
