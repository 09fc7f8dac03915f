import { Command } from 'commander'
import { isDrayError } from '#oci/error.ts'
import { forEachContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface RmOptions extends StoreOptions {
  readonly force?: true
  readonly volumes?: true
}

export function rmCommand(): Command {
  const command = new Command('rm')
    .description('Remove containers, and what they wrote')
    .argument('<container...>', 'names or ids')
    .option('-f, --force', 'kill those that run; no error for those that are not there')
    .option('-v, --volumes', 'also remove the volumes that were made for them alone')
  return withExamples(withStoreOptions(command), [
    ['dray rm web', 'one that has ended'],
    ['dray rm -f $(dray ps -aq)', 'all of them'],
  ]).action(rm)
}

async function rm(references: readonly string[], options: RmOptions): Promise<void> {
  const { removeContainer } = await import('#runner/verbs/remove.ts')
  const { findContainer } = await import('#runner/containers/find.ts')
  const { root } = runnerContext(options)
  const wanted: string[] = []
  for (const reference of references) {
    if (options.force && (await isMissing(findContainer(root, reference)))) continue
    wanted.push(reference)
  }
  await forEachContainer(root, wanted, (container) => removeContainer(root, container, options))
}

async function isMissing(found: Promise<unknown>): Promise<boolean> {
  try {
    await found
    return false
  } catch (error) {
    return isDrayError(error, 'CONTAINER_UNKNOWN')
  }
}
