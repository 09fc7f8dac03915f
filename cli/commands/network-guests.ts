import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ConnectOptions extends StoreOptions {
  readonly alias: readonly string[]
  readonly ip?: string
  readonly ip6?: string
}

export function networkConnectCommand(): Command {
  const command = new Command('connect')
    .description('Put a container on one more network, whether it runs or not')
    .argument('<network>', 'name')
    .argument('<container>', 'name or id')
    .option('--alias <name>', 'one more name on the network (repeatable)', collect, [])
    .option('--ip <address>', 'its address (default: one that is free)')
    .option('--ip6 <address>', 'its address of IPv6, if the network has it')
  return withExamples(withStoreOptions(command), [
    ['dray network connect --alias db app postgres', 'others of app find it as postgres and as db'],
  ]).action(connect)
}

export function networkDisconnectCommand(): Command {
  const command = new Command('disconnect')
    .description('Take a container off a network, whether it runs or not')
    .argument('<network>', 'name')
    .argument('<container>', 'name or id')
    .option('-f, --force', 'without an error when it is not on it')
  return withExamples(withStoreOptions(command), [
    ['dray network disconnect bridge web', 'of several, the next one leads outside then'],
  ]).action(disconnect)
}

async function connect(network: string, reference: string, options: ConnectOptions): Promise<void> {
  const { joinNetwork } = await import('#runner/network/live.ts')
  const { parseAddress, parseAddress6 } = await import('#runner/network/attachments.ts')
  const context = runnerContext(options)
  const attachment = {
    name: network,
    aliases: options.alias,
    ip: options.ip === undefined ? undefined : parseAddress(options.ip),
    ip6: options.ip6 === undefined ? undefined : parseAddress6(options.ip6),
  }
  await joinNetwork(await openContainer(context.root, reference), attachment, context)
}

async function disconnect(
  network: string,
  reference: string,
  options: StoreOptions & { readonly force?: true },
): Promise<void> {
  const { leaveNetworkOf } = await import('#runner/network/live.ts')
  const context = runnerContext(options)
  const container = await openContainer(context.root, reference)
  await leaveNetworkOf(container, network, { context, force: options.force ?? false })
}
