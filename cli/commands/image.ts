import { Command } from 'commander'
import { confirm } from '../output/confirm.ts'
import { passing, printReclaimed, pruneStore } from '../prune.ts'
import { openLocalStore } from '../store.ts'
import { existsCommand } from './exists.ts'
import { historyCommand } from './history.ts'
import { imagesCommand } from './images.ts'
import { importCommand } from './import.ts'
import { imageInspectCommand } from './inspect.ts'
import { loadCommand } from './load.ts'
import { type StoreOptions, withExamples, withPruneFilter, withStoreOptions } from './options.ts'
import { pullCommand } from './pull.ts'
import { pushCommand } from './push.ts'
import { rmiCommand } from './rmi.ts'
import { saveCommand } from './save.ts'
import { tagCommand } from './tag.ts'

interface PruneOptions extends StoreOptions {
  readonly all?: true
  readonly force?: true
  readonly filter: readonly string[]
}

export function imageCommand(): Command {
  const command = new Command('image').description(
    'Look after images: prune, exists, and pull, images (ls), rmi (rm) and the others by another name',
  )
  command.addCommand(
    withExamples(
      withPruneFilter(
        withStoreOptions(
          new Command('prune')
            .description(
              'Remove images without a name that no container uses, and what is left over',
            )
            .option('-a, --all', 'also images with a name')
            .option('-f, --force', 'without asking'),
        ),
      ),
      [
        ['dray image prune -af', 'all that no container was made of'],
        ['dray image prune -af --filter until=720h --filter label!=keep', 'older than 30 days'],
      ],
    ).action(prune),
  )
  command.addCommand(
    existsCommand({
      kind: 'image',
      called: 'name, digest or id',
      example: 'dray image exists app:1.2 || dray pull app:1.2',
      unknown: 'IMAGE_UNKNOWN',
      find: async (name, options) => {
        const { describeImage } = await import('#puller/index.ts')
        return await describeImage(await openLocalStore(options), name)
      },
    }),
  )
  command.addCommand(imageInspectCommand())
  for (const [name, verb] of Object.entries(SAME)) command.addCommand(verb().name(name))
  return command
}

/** Names for verbs that docker and podman have here, too. */
const SAME: Readonly<Record<string, () => Command>> = {
  ls: imagesCommand,
  rm: rmiCommand,
  history: historyCommand,
  tag: tagCommand,
  pull: pullCommand,
  push: pushCommand,
  save: saveCommand,
  load: loadCommand,
  import: importCommand,
}

async function prune(options: PruneOptions): Promise<void> {
  const which = options.all ? 'all images that no container uses' : 'all images without a name'
  if (!(await confirm(`This removes ${which}${passing(options)}.`, options.force))) return
  const store = await openLocalStore(options)
  await printReclaimed(store, options, () => pruneStore(store, options))
}
