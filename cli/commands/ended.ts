import { Command } from 'commander'
import { runnerContext } from '../containers.ts'
import { unmountUnusedLayers } from '../layers.ts'
import { type StoreOptions, withStoreOptions } from './options.ts'

/** What the monitor of a container runs when it has ended; not for people. */
export function endedCommand(): Command {
  const command = new Command('ended').argument('<id>')
  return withStoreOptions(command).action(ended)
}

async function ended(id: string, options: StoreOptions): Promise<void> {
  const { containerEnded } = await import('#runner/verbs/ended.ts')
  const context = runnerContext(options)
  await containerEnded(id, context)
  await unmountUnusedLayers(context.root)
}
