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
  /** Whether nothing outside can be reached from it. */
  readonly isInternal: boolean
  /** Whether containers find one another by name. */
  readonly hasNames: boolean
  readonly labels: Readonly<Record<string, string>>
}

/** A port of the host that leads to one of a container. */
export interface PortMapping {
  /** Absent: all addresses of the host. */
  readonly hostIp?: string | undefined
  /** 0 for one that is free. */
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp'
}

/** What a container has on a network while it runs, written down before it is set up. */
export interface Connection {
  /** Name of the network namespace, in /run/netns. */
  readonly namespace: string
  readonly network: NetworkRecord
  readonly address: string
  readonly ports: readonly PortMapping[]
  readonly names: readonly string[]
}
