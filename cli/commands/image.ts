import { Command } from 'commander'
import { confirm } from '../output/confirm.ts'
import { printReclaimed, pruneStore } from '../prune.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface PruneOptions extends StoreOptions {
  readonly all?: true
  readonly force?: true
}

export function imageCommand(): Command {
  const command = new Command('image').description('Look after images; see also images, rmi, tag')
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('prune')
          .description('Remove images without a name that no container uses, and what is left over')
          .option('-a, --all', 'also images with a name')
          .option('-f, --force', 'without asking'),
      ),
      [['dray image prune -af', 'all that no container was made of']],
    ).action(prune),
  )
  return command
}

async function prune(options: PruneOptions): Promise<void> {
  const which = options.all ? 'all images that no container uses' : 'all images without a name'
  if (!(await confirm(`This removes ${which}.`, options.force))) return
  const store = await openLocalStore(options)
  await printReclaimed(store, options, () => pruneStore(store, options))
}
