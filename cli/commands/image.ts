import { Command } from 'commander'
import { measureAll, sizeOfAll } from '../disk-usage.ts'
import { confirm } from '../output/confirm.ts'
import { formatSize } from '../output/format.ts'
import { print } from '../output/print.ts'
import { pruneStore } from '../prune.ts'
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
  const before = sizeOfAll(await measureAll(store, options))
  await pruneStore(store, options)
  const after = sizeOfAll(await measureAll(store, options))
  print(`Total reclaimed space: ${formatSize(Math.max(0, before - after))}`)
}
