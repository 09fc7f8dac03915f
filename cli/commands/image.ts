import { Command } from 'commander'
import { confirm } from '../output/confirm.ts'
import { printReclaimed, pruneStore } from '../prune.ts'
import { openLocalStore } from '../store.ts'
import { historyCommand } from './history.ts'
import { imagesCommand } from './images.ts'
import { importCommand } from './import.ts'
import { imageInspectCommand } from './inspect.ts'
import { loadCommand } from './load.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'
import { pullCommand } from './pull.ts'
import { pushCommand } from './push.ts'
import { rmiCommand } from './rmi.ts'
import { saveCommand } from './save.ts'
import { tagCommand } from './tag.ts'

interface PruneOptions extends StoreOptions {
  readonly all?: true
  readonly force?: true
}

export function imageCommand(): Command {
  const command = new Command('image').description(
    'Look after images: prune, and other names for images, rmi and what else is about them',
  )
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
  command.addCommand(imageInspectCommand())
  for (const [name, [verb, args]] of Object.entries(SAME))
    command.addCommand(renamed(name, verb(), args))
  return command
}

/** Names for verbs that docker and podman have here, too, with arguments for an example. */
const SAME: Readonly<Record<string, readonly [verb: () => Command, args: string]>> = {
  ls: [imagesCommand, '-f dangling=true'],
  rm: [rmiCommand, 'app:1.2'],
  history: [historyCommand, 'app:1.2'],
  tag: [tagCommand, 'app:1.2 registry.example/team/app:1.2'],
  pull: [pullCommand, 'debian:12'],
  push: [pushCommand, 'registry.example/team/app:1.2'],
  save: [saveCommand, '-o app.tar app:1.2'],
  load: [loadCommand, '-i app.tar'],
  import: [importCommand, 'rootfs.tar app:1.2'],
}

function renamed(name: string, verb: Command, args: string): Command {
  const words = verb.name()
  verb.removeAllListeners('afterHelp') // its own examples
  return withExamples(verb.name(name), [
    [`dray image ${name} ${args}`, `the same as dray ${words}`],
  ])
}

async function prune(options: PruneOptions): Promise<void> {
  const which = options.all ? 'all images that no container uses' : 'all images without a name'
  if (!(await confirm(`This removes ${which}.`, options.force))) return
  const store = await openLocalStore(options)
  await printReclaimed(store, options, () => pruneStore(store, options))
}
