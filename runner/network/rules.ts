import { isIPv6 } from 'node:net'
import type { Link, NetworkRecord, PortMapping } from './model.ts'

/**
 * The tables of packet rules (nft(8)) that all networks share, one for each family of addresses. Each script is one transaction
 * of the kernel, and may be run again. The tables are our own: rules of others are never changed, and what they drop stays
 * dropped.
 */
const TABLES = {
  ip: { table: 'ip dray', address: 'ipv4_addr' },
  ip6: { table: 'ip6 dray', address: 'ipv6_addr' },
} as const

type Family = keyof typeof TABLES

/** Takes the table away, with all that is in it, if it is there. */
export function noRules(family: Family): string {
  const { table } = TABLES[family]
  return `add table ${table}\ndelete table ${table}\n`
}

/**
 * The rules, which look up in sets what they are about:
 *
 * - where ports of the host lead;
 * - that the outside sees containers by the host's address;
 * - that whoever calls a published port from the host, or from a container beside it, gets the answer by the way it came;
 * - that networks don't lead to one another, and internal ones nowhere.
 */
export function baseRules(family: Family): string {
  const { table, address } = TABLES[family]
  const [port, end] = ['inet_proto . inet_service', `${address} . inet_service`]
  const rules = {
    lead: [
      `dnat ${family} to ${family} daddr . meta l4proto . th dport map @own_ports`,
      `dnat ${family} to meta l4proto . th dport map @ports`,
    ],
    prerouting: ['meta l4proto { tcp, udp } fib daddr type local jump lead'],
    output: ['meta l4proto { tcp, udp } fib daddr type local jump lead'],
    postrouting: [
      // What the host calls itself by in IPv6, ::1, leads nowhere else.
      ...(family === 'ip' ? ['oifname @bridges ip saddr 127.0.0.0/8 masquerade'] : []),
      `oifname @bridges ${family} saddr @subnets ct status dnat masquerade`,
      `${family} saddr @outgoing oifname != @bridges masquerade`,
    ],
    forward: [
      'iifname . oifname @loops accept',
      'iifname @bridges oifname @bridges drop',
      'iifname @internal drop',
      'oifname @internal drop',
    ],
  }
  return `
add table ${table}
add map ${table} ports { type ${port} : ${end} ; }
add map ${table} own_ports { type ${address} . ${port} : ${end} ; }
add set ${table} bridges { type ifname ; }
add set ${table} loops { type ifname . ifname ; }
add set ${table} internal { type ifname ; }
add set ${table} subnets { type ${address} ; flags interval ; }
add set ${table} outgoing { type ${address} ; flags interval ; }
add chain ${table} lead
add chain ${table} prerouting { type nat hook prerouting priority dstnat ; }
add chain ${table} output { type nat hook output priority -100 ; }
add chain ${table} postrouting { type nat hook postrouting priority srcnat ; }
add chain ${table} forward { type filter hook forward priority filter ; }
flush table ${table}
${Object.entries(rules)
  .flatMap(([chain, lines]) => lines.map((line) => `add rule ${table} ${chain} ${line}`))
  .join('\n')}
`
}

/** Puts a network into the sets. */
export function rulesToAdd(network: NetworkRecord): string {
  return networkRules('add', network)
}

/** Takes a network out of the sets. What isn't there can't be deleted, and would keep the rest: so it is added first. */
export function rulesToRemove(network: NetworkRecord): string {
  return networkRules('add', network) + networkRules('delete', network)
}

function networkRules(verb: 'add' | 'delete', network: NetworkRecord): string {
  const { subnet, subnet6 } = network
  return familyRules(verb, network, 'ip', subnet) + familyRules(verb, network, 'ip6', subnet6)
}

function familyRules(
  verb: 'add' | 'delete',
  { interface: bridge, isInternal }: NetworkRecord,
  family: Family,
  subnet: string | undefined,
): string {
  if (subnet === undefined) return ''
  const elements = {
    bridges: `"${bridge}"`,
    loops: `"${bridge}" . "${bridge}"`,
    subnets: subnet,
    ...(isInternal ? { internal: `"${bridge}"` } : { outgoing: subnet }),
  }
  return Object.entries(elements)
    .map(([set, element]) => `${verb} element ${TABLES[family].table} ${set} { ${element} }\n`)
    .join('')
}

/** Leads ports of the host to a container, or no more. */
export function portRules(
  verb: 'add' | 'delete',
  ports: readonly PortMapping[],
  { address, address6 }: Pick<Link, 'address' | 'address6'>,
): string {
  return ports
    .map((port) => {
      const isOf6 = isIPv6(port.hostIp ?? '')
      return (
        (isOf6 ? '' : portRule(verb, port, 'ip', address)) +
        (isOf6 || port.hostIp === undefined ? portRule(verb, port, 'ip6', address6) : '')
      )
    })
    .join('')
}

function portRule(
  verb: 'add' | 'delete',
  { hostIp, hostPort, containerPort, protocol }: PortMapping,
  family: Family,
  address: string | undefined,
): string {
  if (address === undefined) return ''
  const [map, key] =
    hostIp === undefined
      ? ['ports', `${protocol} . ${hostPort}`]
      : ['own_ports', `${hostIp} . ${protocol} . ${hostPort}`]
  const value = verb === 'add' ? ` : ${address} . ${containerPort}` : ''
  return `${verb} element ${TABLES[family].table} ${map} { ${key}${value} }\n`
}
