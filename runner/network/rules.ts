import type { NetworkRecord, PortMapping } from './model.ts'

/**
 * The table of packet rules (nft(8)) that all networks share. Each script is one transaction of the kernel, and may be run
 * again. The table is our own: rules of others are never changed, and what they drop stays dropped.
 */
const TABLE = 'ip dray'

/** Takes the table away, with all that is in it. */
export const NO_RULES = `delete table ${TABLE}\n`

/**
 * The rules, which look up in sets what they are about:
 *
 * - where ports of the host lead;
 * - that the outside sees containers by the host's address;
 * - that whoever calls a published port from the host, or from a container beside it, gets the answer by the way it came;
 * - that networks don't lead to one another, and internal ones nowhere.
 */
export function baseRules(): string {
  const [port, end] = ['inet_proto . inet_service', 'ipv4_addr . inet_service']
  const rules = {
    lead: [
      'dnat ip to ip daddr . ip protocol . th dport map @own_ports',
      'dnat ip to ip protocol . th dport map @ports',
    ],
    prerouting: ['meta l4proto { tcp, udp } fib daddr type local jump lead'],
    output: ['meta l4proto { tcp, udp } fib daddr type local jump lead'],
    postrouting: [
      'oifname @bridges ip saddr 127.0.0.0/8 masquerade',
      'oifname @bridges ip saddr @subnets ct status dnat masquerade',
      'ip saddr @outgoing oifname != @bridges masquerade',
    ],
    forward: [
      'iifname . oifname @loops accept',
      'iifname @bridges oifname @bridges drop',
      'iifname @internal drop',
      'oifname @internal drop',
    ],
  }
  return `
add table ${TABLE}
add map ${TABLE} ports { type ${port} : ${end} ; }
add map ${TABLE} own_ports { type ipv4_addr . ${port} : ${end} ; }
add set ${TABLE} bridges { type ifname ; }
add set ${TABLE} loops { type ifname . ifname ; }
add set ${TABLE} internal { type ifname ; }
add set ${TABLE} subnets { type ipv4_addr ; flags interval ; }
add set ${TABLE} outgoing { type ipv4_addr ; flags interval ; }
add chain ${TABLE} lead
add chain ${TABLE} prerouting { type nat hook prerouting priority dstnat ; }
add chain ${TABLE} output { type nat hook output priority -100 ; }
add chain ${TABLE} postrouting { type nat hook postrouting priority srcnat ; }
add chain ${TABLE} forward { type filter hook forward priority filter ; }
flush table ${TABLE}
${Object.entries(rules)
  .flatMap(([chain, lines]) => lines.map((line) => `add rule ${TABLE} ${chain} ${line}`))
  .join('\n')}
`
}

/** A network's place in the sets. */
export function networkRules(
  verb: 'add' | 'delete',
  { interface: bridge, subnet, isInternal }: NetworkRecord,
): string {
  const elements = {
    bridges: `"${bridge}"`,
    loops: `"${bridge}" . "${bridge}"`,
    subnets: subnet,
    ...(isInternal ? { internal: `"${bridge}"` } : { outgoing: subnet }),
  }
  return Object.entries(elements)
    .map(([set, element]) => `${verb} element ${TABLE} ${set} { ${element} }\n`)
    .join('')
}

/** Leads ports of the host to a container, or no more. */
export function portRules(
  verb: 'add' | 'delete',
  ports: readonly PortMapping[],
  address: string,
): string {
  return ports
    .map(({ hostIp, hostPort, containerPort, protocol }) => {
      const [map, key] =
        hostIp === undefined
          ? ['ports', `${protocol} . ${hostPort}`]
          : ['own_ports', `${hostIp} . ${protocol} . ${hostPort}`]
      const value = verb === 'add' ? ` : ${address} . ${containerPort}` : ''
      return `${verb} element ${TABLE} ${map} { ${key}${value} }\n`
    })
    .join('')
}
