import { Command } from 'commander'
import { forEachName, namedOrAll, openContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ReloadOptions extends StoreOptions {
  readonly all?: true
}

export function networkReloadCommand(): Command {
  const command = new Command('reload')
    .description(
      'Put back the packet rules of containers that run, after all rules of the host were flushed',
    )
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that run')
  return withExamples(withStoreOptions(command), [
    ['dray network reload -a', 'after nft flush ruleset, or systemctl restart nftables'],
  ]).action(reload)
}

async function reload(references: readonly string[], options: ReloadOptions): Promise<void> {
  const { isOnNetworks, reloadNetworks } = await import('#runner/network/reload.ts')
  const context = runnerContext(options)
  const { all } = options
  const names = await namedOrAll(context.root, references, { all }, 'that run')
  await forEachName(names, async (name) => {
    const container = await openContainer(context.root, name)
    if (all && !isOnNetworks(container)) return undefined
    await reloadNetworks(container, context)
    return container.id
  })
}
