import { Command } from 'commander'
import { isDrayError } from '#oci/error.ts'
import { forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import { seconds, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface RmOptions extends StoreOptions {
  readonly all?: true
  readonly force?: true
  readonly volumes?: true
  readonly time?: number
}

export function rmCommand(): Command {
  const command = new Command('rm')
    .description('Remove containers, and what they wrote')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that there are')
    .option('-f, --force', 'kill those that run; no error for those that are not there')
    .option('-t, --time <seconds>', 'with -f: stop it first, and kill it after that', seconds)
    .option('-v, --volumes', 'also remove the volumes that were made for them alone')
  return withExamples(withStoreOptions(command), [
    ['dray rm web', 'one that has ended'],
    ['dray rm -fa', 'all of them'],
  ]).action(rm)
}

async function rm(references: readonly string[], options: RmOptions): Promise<void> {
  const { removeContainer } = await import('#runner/verbs/remove.ts')
  const { findContainer } = await import('#runner/containers/find.ts')
  const { root } = runnerContext(options)
  const wanted: string[] = []
  const { all, time, force } = options
  for (const reference of await namedOrAll(root, references, { all, whichAll: 'that there are' })) {
    if (force && (await isMissing(findContainer(root, reference)))) continue
    wanted.push(reference)
  }
  await forEachContainer(root, wanted, async (container) => {
    if (force && time !== undefined) {
      const { stopContainer } = await import('#runner/verbs/stop.ts')
      await stopContainer(root, container, { timeoutSeconds: time })
    }
    await removeContainer(root, container, options)
  })
}

async function isMissing(found: Promise<unknown>): Promise<boolean> {
  try {
    await found
    return false
  } catch (error) {
    return isDrayError(error, 'CONTAINER_UNKNOWN')
  }
}
