import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ConnectOptions extends StoreOptions {
  readonly alias: readonly string[]
  readonly ip?: string
}

export function networkConnectCommand(): Command {
  const command = new Command('connect')
    .description('Put a container on one more network, whether it runs or not')
    .argument('<network>', 'name')
    .argument('<container>', 'name or id')
    .option('--alias <name>', 'one more name on the network (repeatable)', collect, [])
    .option('--ip <address>', 'its address (default: one that is free)')
  return withExamples(withStoreOptions(command), [
    ['dray network connect --alias db app postgres', 'others of app find it as postgres and as db'],
  ]).action(connect)
}

export function networkDisconnectCommand(): Command {
  const command = new Command('disconnect')
    .description('Take a container off a network, whether it runs or not')
    .argument('<network>', 'name')
    .argument('<container>', 'name or id')
  return withExamples(withStoreOptions(command), [
    ['dray network disconnect bridge web', 'of several, the next one leads outside then'],
  ]).action(disconnect)
}

async function connect(network: string, reference: string, options: ConnectOptions): Promise<void> {
  const { joinNetwork } = await import('#runner/network/live.ts')
  const { parseAddress } = await import('#runner/network/attachments.ts')
  const context = runnerContext(options)
  const { alias: aliases, ip } = options
  const attachment = { name: network, aliases, ip: ip === undefined ? ip : parseAddress(ip) }
  await joinNetwork(await openContainer(context.root, reference), attachment, context)
}

async function disconnect(
  network: string,
  reference: string,
  options: StoreOptions,
): Promise<void> {
  const { leaveNetworkOf } = await import('#runner/network/live.ts')
  const context = runnerContext(options)
  await leaveNetworkOf(await openContainer(context.root, reference), network, context)
}
