import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import type { ContainerPaths } from '../layout.ts'
import { makeNetworkNamespace, unmount } from '../sys.ts'
import { makeOwnedNetworkNamespace } from '../userns/namespace.ts'
import { parseSubnet } from './address.ts'
import { enterNetwork, leaveNetwork } from './bridge.ts'
import { NAMESPACES, namespacePath, readConnection } from './connections.ts'
import { dropAddress, takeAddress } from './leases.ts'
import type { Connection, NetworkRecord, PortMapping } from './model.ts'
import { portRules } from './rules.ts'
import { ip, nft } from './tools.ts'

/**
 * Puts a container that is about to start on a network: a namespace, a pair of interfaces, an address, rules for its ports.
 * What was done is found again by {@link disconnect}, even when this is cut off.
 *
 * @throws NETWORK_FAILED
 */
export async function connect(
  container: {
    readonly id: string
    readonly paths: ContainerPaths
    readonly names: readonly string[]
  },
  network: NetworkRecord,
  options: {
    readonly root: string
    readonly ports: readonly PortMapping[]
    readonly searchPath: string | undefined
    /** Where the user namespace is that owns the network; default: the host's. */
    readonly userNamespace: string | undefined
  },
): Promise<Connection> {
  const { id, paths, names } = container
  const { root, ports, searchPath, userNamespace } = options
  const namespace = `dray-${id.slice(0, 16)}`
  const address = takeAddress(root, network, id)
  const connection = { namespace, network, address, ports, names }
  await enterNetwork(root, network, searchPath, () =>
    writeFile(paths.network, JSON.stringify(connection), { mode: 0o600 }),
  )
  await mkdir(NAMESPACES, { recursive: true })
  if (userNamespace === undefined) makeNetworkNamespace(namespacePath(connection))
  else await makeOwnedNetworkNamespace(namespacePath(connection), userNamespace)
  const host = `ve${id.slice(0, 12)}`
  await ip(
    searchPath,
    [],
    [
      `link add ${host} type veth peer name eth0 netns ${namespace}`,
      `link set ${host} master ${network.interface} up`,
    ],
  )
  await ip(
    searchPath,
    ['-n', namespace],
    [
      'link set lo up',
      `address add ${address}/${parseSubnet(network.subnet).bits} dev eth0`,
      'link set eth0 up',
      ...(network.isInternal ? [] : [`route add default via ${network.gateway}`]),
    ],
  )
  if (ports.length > 0) await nft(searchPath, portRules('add', ports, address))
  return connection
}

/** Takes a container off its network, if it is on one. What is gone already is no error. */
export async function disconnect(root: string, id: string, paths: ContainerPaths): Promise<void> {
  const connection = readConnection(paths)
  if (connection === undefined) return
  const { network, address, ports } = connection
  for (const port of ports) {
    await nft(undefined, portRules('delete', [port], address)).catch(() => undefined)
  }
  const namespace = namespacePath(connection)
  if (existsSync(namespace)) {
    unmount(namespace)
    await rm(namespace, { force: true })
  }
  // The kernel takes the interfaces away with the namespace, after a while; the name is wanted again at once.
  await ip(undefined, [], [`link delete ve${id.slice(0, 12)}`]).catch(() => undefined)
  dropAddress(root, network, address, id)
  await leaveNetwork(root, network, id, () => rm(paths.network, { force: true }))
}
