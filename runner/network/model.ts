/** What the names of all our bridges begin with. */
export const BRIDGE_PREFIX = 'dray-'

/** A network that containers can be on: a bridge of the host, and addresses on it. */
export interface NetworkRecord {
  readonly name: string
  /** 64 hex digits. */
  readonly id: string
  readonly createdAt: string
  /** The bridge's interface on the host. */
  readonly interface: string
  /** `10.89.0.0/24` */
  readonly subnet: string
  /** The host's address on it. */
  readonly gateway: string
  /** The same in IPv6, if it is on the network. */
  readonly subnet6?: string | undefined
  readonly gateway6?: string | undefined
  /** Where free addresses are looked for; default: in all of the subnet. */
  readonly range?: string | undefined
  readonly range6?: string | undefined
  /** Addresses that no container gets, such as those of other machines. */
  readonly reserved?: readonly string[] | undefined
  /** Bytes of a packet; default: the kernel's. */
  readonly mtu?: number | undefined
  /** Whether nothing outside can be reached from it. */
  readonly isInternal: boolean
  /** Whether containers find one another by name. */
  readonly hasNames: boolean
  readonly labels: Readonly<Record<string, string>>
}

/** A port of the host that leads to one of a container. */
export interface PortMapping {
  /** Absent: all addresses of the host, of IPv6 too when the container has it. */
  readonly hostIp?: string | undefined
  /** 0 for one that is free. */
  readonly hostPort: number
  /** The last of several ports of the host, of which the first that is free is taken; default: that one alone. */
  readonly hostPortEnd?: number | undefined
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp'
  /** Whether a process of the host takes the connections, in place of the kernel. */
  readonly isProxied?: boolean | undefined
}

/** Who takes the connections to a published port. */
export type PublishBy = 'kernel' | 'proxy'

/** What a container is to have on a network. */
export interface Attachment {
  /** Of the network. */
  readonly name: string
  /** More names that containers of the network find it by. */
  readonly aliases: readonly string[]
  /** Default: one that is free. */
  readonly ip?: string | undefined
  readonly ip6?: string | undefined
  /** Of its interface; default: one that the kernel makes up. */
  readonly mac?: string | undefined
}

/** What a container has on its networks while it runs, written down before it is set up. */
export interface Connection {
  /** Name of the network namespace, in /run/netns. */
  readonly namespace: string
  readonly links: readonly Link[]
  readonly ports: readonly PortMapping[]
}

/** What a container has on one network. */
export interface Link {
  readonly network: NetworkRecord
  readonly address: string
  readonly address6?: string | undefined
  readonly mac?: string | undefined
  /** The first is the container's own. */
  readonly names: readonly string[]
  /** The interfaces, in the container and on the host. */
  readonly inside: string
  readonly outside: string
}
