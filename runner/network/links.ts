import { parseSubnet } from './address.ts'
import { parseSubnet6 } from './address6.ts'
import { enterNetwork, leaveNetwork, mtuWords } from './bridge.ts'
import { writeConnection } from './connections.ts'
import { dropAddress, takeAddress, takeAddress6 } from './leases.ts'
import type { Attachment, Connection, Link, NetworkRecord, PortMapping } from './model.ts'
import { baseRules, portRules, rulesToAdd } from './rules.ts'
import { ip, nft } from './tools.ts'
import type { ContainerPaths } from '../layout.ts'

/** A container that comes to a network, or leaves it. */
export interface Guest {
  readonly root: string
  readonly id: string
  readonly paths: ContainerPaths
  readonly searchPath: string | undefined
}

/** A network and what a container is to have on it. */
export interface Wanted {
  readonly network: NetworkRecord
  readonly attachment: Attachment
  /** The container's own names; the first is its name. */
  readonly names: readonly string[]
}

/**
 * Gives a container an address on a network, written down before anything is done, and puts the network up.
 *
 * @returns its connection with the new link, which has no interface yet: {@link plug}
 * @throws NETWORK_FAILED
 */
export async function enter(
  guest: Guest,
  connection: Connection,
  { network, attachment, names }: Wanted,
): Promise<Connection> {
  const { root, id, paths, searchPath } = guest
  const slot = freeSlot(connection)
  const link: Link = {
    network,
    address: takeAddress(root, network, id, attachment.ip),
    address6: takeAddress6(root, network, id, attachment.ip6),
    mac: attachment.mac,
    names: [...names, ...attachment.aliases],
    inside: `eth${slot}`,
    // An interface's name has 15 characters at most.
    outside: `ve${id.slice(0, 11)}${slot.toString(36)}`,
  }
  const next = { ...connection, links: [...connection.links, link] }
  await enterNetwork(root, network, searchPath, async () => writeConnection(paths, next))
  return next
}

/** Makes the pair of interfaces of a link, one end on the bridge and one in the namespace. @throws NETWORK_FAILED */
export async function plug(guest: Guest, namespace: string, link: Link): Promise<void> {
  const { network, inside, outside, address, address6, mac } = link
  const mtu = mtuWords(network)
  const { subnet, subnet6 } = network
  await ip(
    guest.searchPath,
    [],
    [
      `link add ${outside} ${mtu}type veth peer name ${inside} ${mtu}${mac === undefined ? '' : `address ${mac} `}netns ${namespace}`,
      `link set ${outside} master ${network.interface} up`,
    ],
  )
  await ip(
    guest.searchPath,
    ['-n', namespace],
    [
      'link set lo up',
      `address add ${address}/${parseSubnet(subnet).bits} dev ${inside}`,
      ...(address6 && subnet6
        ? [`address add ${address6}/${parseSubnet6(subnet6).bits} dev ${inside} nodad`]
        : []),
      `link set ${inside} up`,
    ],
  )
}

/** Takes a container off a network. What is gone already is no error. @returns its connection without the link */
export async function leave(guest: Guest, connection: Connection, link: Link): Promise<Connection> {
  const { root, id, paths } = guest
  // The kernel takes the interfaces away with the namespace, after a while; the name is wanted again at once.
  await ip(undefined, [], [`link delete ${link.outside}`]).catch(() => undefined)
  for (const address of [link.address, link.address6]) {
    if (address !== undefined) dropAddress(root, link.network, address, id)
  }
  const next = { ...connection, links: connection.links.filter((other) => other !== link) }
  await leaveNetwork(root, link.network, id, async () => writeConnection(paths, next))
  return next
}

/** The link that leads outside, and that ports of the host lead to: the first that can. */
export function mainLink({ links }: Connection): Link | undefined {
  return links.find(({ network }) => !network.isInternal) ?? links[0]
}

/** Has the way out, and the ports of the host, lead by the main link. @throws NETWORK_FAILED */
export async function leadByMainLink(guest: Guest, connection: Connection): Promise<void> {
  const link = mainLink(connection)
  if (link === undefined) return
  const { namespace, ports } = connection
  if (!link.network.isInternal) {
    const { gateway, gateway6 } = link.network
    const ways = [gateway, ...(gateway6 === undefined ? [] : [gateway6])]
    const routes = ways.map((way) => `route replace default via ${way}`)
    await ip(guest.searchPath, ['-n', namespace], routes)
  }
  const ofKernel = kernelPorts(connection)
  if (ofKernel.length > 0) {
    const addAll = () => nft(guest.searchPath, rulesOf(connection))
    // Somebody has flushed the host's rules since the network was put up.
    await nft(guest.searchPath, portRules('add', ofKernel, link)).catch(addAll)
  }
  if (ofKernel.length === ports.length || link.network.isInternal) return
  const { startProxies } = await import('./proxies.ts')
  const proxied = ports.filter(({ isProxied }) => isProxied)
  await startProxies(guest.id, proxied, link, guest.searchPath)
}

/** Takes away what leads ports of the host to a container, if it is there. */
export async function dropPorts(guest: Guest, connection: Connection): Promise<void> {
  const link = mainLink(connection)
  if (link === undefined) return
  const ofKernel = kernelPorts(connection)
  for (const port of ofKernel)
    await nft(undefined, portRules('delete', [port], link)).catch(() => undefined)
  if (ofKernel.length === connection.ports.length) return
  await (await import('./proxies.ts')).endProxies(guest.id)
}

/** All rules that a container needs, in one transaction that changes nothing where they are there. Pure. */
export function rulesOf(connection: Connection): string {
  const networks = connection.links.map(({ network }) => network)
  const has6 = networks.some(({ subnet6 }) => subnet6 !== undefined)
  const link = mainLink(connection)
  return [
    baseRules('ip'),
    has6 ? baseRules('ip6') : '',
    ...networks.map(rulesToAdd),
    link === undefined ? '' : portRules('add', kernelPorts(connection), link),
  ].join('')
}

function kernelPorts({ ports }: Connection): PortMapping[] {
  return ports.filter(({ isProxied }) => !isProxied)
}

function freeSlot({ links }: Connection): number {
  const taken = links.map(({ inside }) => inside)
  let slot = 0
  while (taken.includes(`eth${slot}`)) slot++
  return slot
}
