import { Command } from 'commander'
import { type Chosen, forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import {
  seconds,
  type StoreOptions,
  withExamples,
  withIdFiles,
  withStoreOptions,
} from './options.ts'

interface RmOptions extends StoreOptions, Chosen {
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
    .option('-i, --ignore', 'those that are not there are no error')
    .option('-t, --time <seconds>', 'with -f: stop it first, and kill it after that', seconds)
    .option('-v, --volumes', 'also remove the volumes that were made for them alone')
  return withExamples(withStoreOptions(withIdFiles(command)), [
    ['dray rm web', 'one that has ended'],
    ['dray rm -fa', 'all of them'],
    ['dray rm -f --cidfile /run/web.cid', 'the one that run --cidfile made, if it is there'],
  ]).action(rm)
}

async function rm(references: readonly string[], options: RmOptions): Promise<void> {
  const { removeContainer } = await import('#runner/verbs/remove.ts')
  const { root } = runnerContext(options)
  const { time, force = false, ignore = force } = options
  const wanted = await namedOrAll(root, references, { ...options, ignore }, 'that there are')
  await forEachContainer(root, wanted, async (container) => {
    if (force && time !== undefined) {
      const { stopContainer } = await import('#runner/verbs/stop.ts')
      await stopContainer(root, container, { timeoutSeconds: time })
    }
    await removeContainer(root, container, options)
  })
}
