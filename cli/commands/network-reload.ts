import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { forEachName, openContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ReloadOptions extends StoreOptions {
  readonly all?: true
}

export function networkReloadCommand(): Command {
  const command = new Command('reload')
    .description('Put back the packet rules of containers that run, after a flush of the host’s')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that run')
  return withExamples(withStoreOptions(command), [
    ['dray network reload -a', 'after nft flush ruleset, or systemctl restart nftables'],
  ]).action(reload)
}

async function reload(references: readonly string[], options: ReloadOptions): Promise<void> {
  if ((options.all === true) === references.length > 0) {
    throw new DrayError('USAGE', 'name containers, or say --all for all that run')
  }
  const { isOnNetworks, reloadNetworks } = await import('#runner/network/reload.ts')
  const { listSeen } = await import('#runner/verbs/list.ts')
  const context = runnerContext(options)
  const all = options.all ? (await listSeen(context.root)).map(({ container }) => container) : []
  const names = options.all ? all.filter(isOnNetworks).map(({ id }) => id) : references
  await forEachName(names, async (name) => {
    const container = await openContainer(context.root, name)
    await reloadNetworks(container, context)
    return container.id
  })
}
