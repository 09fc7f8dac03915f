import { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'
import { byLabel, filterBy } from '#runner/filters.ts'
import type { NetworkRecord } from '#runner/network/model.ts'
import { forEachName, runnerContext, unlessGone } from '../containers.ts'
import { inspectEach } from '../inspect-each.ts'
import { keyValues } from '../key-values.ts'
import { complain, print } from '../output/print.ts'
import { labelIn, printRows } from '../output/rows.ts'
import { existsCommand } from './exists.ts'
import { networkConnectCommand, networkDisconnectCommand } from './network-guests.ts'
import { networkReloadCommand } from './network-reload.ts'
import {
  collect,
  type StoreOptions,
  withExamples,
  withPruneFilter,
  withStoreOptions,
} from './options.ts'

interface CreateOptions extends StoreOptions {
  readonly subnet: readonly string[]
  readonly gateway: readonly string[]
  readonly ipRange: readonly string[]
  readonly auxAddress: readonly string[]
  readonly opt: readonly string[]
  readonly ipv6?: true
  readonly internal?: true
  readonly disableDns?: true
  readonly label: readonly string[]
}

export function networkCommand(): Command {
  const command = new Command('network').description(
    'Make, list and remove networks, and put containers on them',
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('create')
          .description('Make a network, on which containers find one another by name')
          .argument('<name>')
          .option(
            '--subnet <subnet>',
            'its addresses, such as 10.89.7.0/24 or fd00:7::/64; one of each family (default: some that are free)',
            collect,
            [],
          )
          .addOption(new Option('-d, --driver <driver>', 'bridge').choices(['bridge']))
          .option('--gateway <address>', "the host's address (default: the first)", collect, [])
          .option(
            '--ip-range <subnet>',
            'part of a subnet that free addresses are taken from (default: all of it)',
            collect,
            [],
          )
          .option(
            '--aux-address <name=address>',
            'an address that no container gets, such as that of a router (repeatable)',
            collect,
            [],
          )
          .option('-o, --opt <key=value>', 'mtu=1400: bytes of a packet', collect, [])
          .option('--ipv6', 'addresses of IPv6 too')
          .option('--internal', 'nothing outside can be reached from it')
          .option('--disable-dns', 'without names')
          .addOption(new Option('--attachable').hideHelp()) // any container may be
          .option('-l, --label <K=V>', 'label (repeatable)', collect, []),
      ),
      [
        ['dray network create app', 'then: dray run --network app --name db ...'],
        ['dray network create --ipv6 --subnet 10.20.0.0/24 both', 'IPv4 and IPv6'],
      ],
    ).action(create),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('ls')
          .alias('list')
          .description('List networks')
          .option('-q, --quiet', 'print names only')
          .option('--no-trunc', 'print ids whole')
          .option('-f, --filter <key=value>', 'name, id, label (repeatable)', collect, [])
          .option('--format <format>', 'table, json, or a Go template'),
      ),
      [['dray network ls', 'name, addresses, interface']],
    ).action(list),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('inspect')
          .description('Show all that is known of networks')
          .argument('<network...>', 'names')
          .option('-f, --format <template>', 'a Go template over each'),
      ),
      [["dray network inspect -f '{{.Subnet}}' app", 'one fact']],
    ).action(inspect),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('rm')
          .alias('remove')
          .description('Remove networks')
          .argument('<network...>', 'names')
          .option('-f, --force', 'those that are not there are no error'),
      ),
      [['dray network rm app', 'when no container is on it any more']],
    ).action(remove),
  )
  command.addCommand(
    withExamples(
      withPruneFilter(
        withStoreOptions(
          new Command('prune')
            .description('Remove networks that no container is on')
            .option('-f, --force', 'without asking, as it does anyway'),
        ),
      ),
      [['dray network prune', 'all but those that a container is to be on']],
    ).action(prune),
  )
  command.addCommand(
    existsCommand({
      kind: 'network',
      called: 'name',
      example: 'dray network exists app || dray network create app',
      unknown: 'NETWORK_UNKNOWN',
      find: async (name, options) => {
        const { findNetwork } = await import('#runner/network/store.ts')
        return await findNetwork(runnerContext(options).root, name)
      },
    }),
  )
  command.addCommand(networkConnectCommand())
  command.addCommand(networkDisconnectCommand())
  command.addCommand(networkReloadCommand())
  return command
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { createNetwork } = await import('#runner/network/store.ts')
  const { subnet, gateway } = options
  const [subnet4, subnet6] = byFamily('subnet', subnet)
  const [gateway4, gateway6] = byFamily('gateway', gateway)
  const [range, range6] = byFamily('ip-range', options.ipRange)
  const network = await createNetwork(runnerContext(options).root, name, {
    subnet: subnet4,
    gateway: gateway4,
    subnet6,
    gateway6,
    range,
    range6,
    reserved: Object.values(keyValues('aux-address', options.auxAddress)),
    mtu: mtuOf(options.opt),
    hasIpv6: options.ipv6,
    isInternal: options.internal,
    hasNames: !options.disableDns,
    labels: keyValues('label', options.label),
  })
  print(network.name)
}

/** Of docker's names for options of a bridge, and podman's, the one that there is here. @throws USAGE for others */
function mtuOf(options: readonly string[]): number | undefined {
  const { mtu, 'com.docker.network.driver.mtu': ofDocker, ...others } = keyValues('opt', options)
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw new DrayError('USAGE', `networks have no option ${unknown}, but mtu`)
  const text = mtu ?? ofDocker
  if (text === undefined) return undefined
  if (/^\d{3,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new DrayError('USAGE', `invalid mtu ${JSON.stringify(text)}: write bytes, such as 1400`)
}

/** @returns that of IPv4 and that of IPv6 */
function byFamily(
  what: string,
  texts: readonly string[],
): [string | undefined, string | undefined] {
  const [of6, of4] = [true, false].map((is6) => texts.filter((text) => text.includes(':') === is6))
  const extra = of4?.[1] ?? of6?.[1]
  if (extra !== undefined) throw new DrayError('USAGE', `--${what} ${extra} is one too many`)
  return [of4?.[0], of6?.[0]]
}

interface ListOptions extends StoreOptions {
  readonly quiet?: true
  readonly trunc: boolean
  readonly filter: readonly string[]
  readonly format?: string
}

async function list(options: ListOptions): Promise<void> {
  const { listNetworks } = await import('#runner/network/store.ts')
  const networks = filterBy(await listNetworks(runnerContext(options).root), options.filter, {
    name: (value) => (network) => network.name.includes(value),
    id: (value) => (network) => network.id.startsWith(value),
    label: byLabel(({ labels }) => labels),
  })
  const rows = networks.map(facts).map((row) => ({
    ...row,
    ...(!options.trunc && { ID: row.Id }),
    Label: labelIn(row.Labels),
  }))
  printRows(rows, {
    format: options.quiet ? '{{.Name}}' : options.format,
    columns: [
      ['NETWORK ID', 'ID'],
      ['NAME', 'Name'],
      ['SUBNET', 'Subnet'],
      ['INTERFACE', 'Interface'],
    ],
  })
}

async function inspect(
  names: readonly string[],
  options: StoreOptions & { readonly format?: string },
): Promise<void> {
  const { findNetwork } = await import('#runner/network/store.ts')
  const { describeGuests } = await import('#runner/network/describe.ts')
  const { root } = runnerContext(options)
  await inspectEach(names, options.format, async (name) => {
    const network = await findNetwork(root, name)
    return { ...facts(network), Containers: describeGuests(root, network) }
  })
}

async function remove(
  names: readonly string[],
  options: StoreOptions & { readonly force?: true },
): Promise<void> {
  const { removeNetwork } = await import('#runner/network/store.ts')
  const { takeDownUnused } = await import('#runner/network/bridge.ts')
  const { root } = runnerContext(options)
  await forEachName(names, async (name) => {
    return await unlessGone(options.force && 'NETWORK_UNKNOWN', async () => {
      await takeDownUnused(root, await removeNetwork(root, name))
      return name
    })
  })
}

async function prune(
  options: StoreOptions & { readonly filter: readonly string[] },
): Promise<void> {
  const { pruneNetworks } = await import('#runner/verbs/prune.ts')
  const { root } = runnerContext(options)
  for (const name of await pruneNetworks(root, complain, { filters: options.filter })) print(name)
}

function facts(network: NetworkRecord) {
  return {
    ID: network.id.slice(0, 12),
    Id: network.id,
    Name: network.name,
    Driver: 'bridge',
    Created: network.createdAt,
    Subnet: network.subnet,
    Gateway: network.gateway,
    IPRange: network.range ?? '',
    IPRange6: network.range6 ?? '',
    Reserved: network.reserved ?? [],
    Options: network.mtu === undefined ? {} : { mtu: String(network.mtu) },
    EnableIPv6: network.subnet6 !== undefined,
    Subnet6: network.subnet6 ?? '',
    Gateway6: network.gateway6 ?? '',
    Interface: network.interface,
    Internal: network.isInternal,
    DNS: network.hasNames,
    Labels: network.labels,
  }
}
