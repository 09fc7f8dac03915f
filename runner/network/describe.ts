import type { ContainerPaths } from '../layout.ts'
import { parseSubnet6 } from './address6.ts'
import { parseSubnet } from './address.ts'
import { connectionsOn, namespacePath, readConnection } from './connections.ts'
import { mainLink } from './links.ts'
import type { Link, NetworkRecord, PortMapping } from './model.ts'
import { formatHostPort } from './ports.ts'
import { publishedPorts } from './published.ts'

/** What a container has on its networks now, in the words of docker's `inspect`. */
export function describeConnection(paths: ContainerPaths) {
  const connection = readConnection(paths)
  const main = connection && mainLink(connection)
  return {
    SandboxKey: connection === undefined ? '' : namespacePath(connection),
    IPAddress: main?.address ?? '',
    GlobalIPv6Address: main?.address6 ?? '',
    Gateway: main?.network.gateway ?? '',
    Ports: describePorts(publishedPorts(paths)),
    Networks: Object.fromEntries(
      (connection?.links ?? []).map((link) => [link.network.name, describeLink(link)]),
    ),
  }
}

function describeLink({ network, address, address6, names, inside }: Link) {
  return {
    NetworkID: network.id,
    Aliases: names,
    IPAddress: address,
    IPPrefixLen: parseSubnet(network.subnet).bits,
    Gateway: network.gateway,
    GlobalIPv6Address: address6 ?? '',
    IPv6Gateway: network.gateway6 ?? '',
    Interface: inside,
  }
}

/** Ports as `80/tcp`, and where each is on the host; the port `0` is one that is free, a range is for one of it. */
export function describePorts(mappings: readonly PortMapping[]) {
  const ports: Record<string, { HostIp: string; HostPort: string }[]> = {}
  for (const { hostIp = '0.0.0.0', containerPort, protocol, ...outside } of mappings) {
    const key = `${containerPort}/${protocol}`
    ports[key] = [...(ports[key] ?? []), { HostIp: hostIp, HostPort: formatHostPort(outside) }]
  }
  return ports
}

/** The containers that are on a network now, by id. */
export function describeGuests(root: string, network: NetworkRecord) {
  return Object.fromEntries(
    connectionsOn(root, network).map(({ id, link: { names, address, address6 } }) => [
      id,
      {
        Name: names[0],
        IPv4Address: `${address}/${parseSubnet(network.subnet).bits}`,
        IPv6Address:
          address6 && network.subnet6 ? `${address6}/${parseSubnet6(network.subnet6).bits}` : '',
        Aliases: names.slice(1),
      },
    ]),
  )
}
