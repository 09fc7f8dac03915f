import { DrayError } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { imagePorts } from '../containers/image.ts'
import { findContainer } from '../containers/find.ts'
import type { RunnerContext } from '../context.ts'
import type { Surroundings } from '../etc-files.ts'
import type { ContainerOptions } from '../options.ts'
import type { Claim, ContainerRecord } from '../record.ts'
import { hostnameOf } from '../spec.ts'
import { idMapOf } from '../userns/resolve.ts'
import { requireRunning } from '../verbs/kill.ts'
import { connect } from './connect.ts'
import { namespacePath } from './connections.ts'
import { SEARCH_DOMAIN } from './dns.ts'
import type { PortMapping } from './model.ts'
import { type Reservation, reservePorts } from './reserve.ts'
import { findNetwork } from './store.ts'

/** What a container's start needs to know of its network. */
export interface NetworkSetup {
  /** Of a namespace that is there already. */
  readonly path?: string | undefined
  readonly around: Surroundings
  /** Ports that are ours, until the container's monitor holds them or the container has ended. */
  readonly reservation?: Reservation | undefined
}

/**
 * Puts a container that is about to start on the network that its options name.
 *
 * @throws NETWORK_UNKNOWN, NETWORK_FAILED, PORT_TAKEN, CONTAINER_UNKNOWN, CONTAINER_STATE
 */
export async function setUpNetwork(
  claim: Claim,
  record: ContainerRecord,
  context: RunnerContext,
): Promise<NetworkSetup> {
  const { network: mode = 'none', networkAliases = [] } = record.options
  if (mode === 'none' || mode === 'host') return { around: {} }
  const { root } = context
  const searchPath = context.hostEnv.PATH
  if (mode.startsWith('container:')) {
    const other = await findContainer(root, mode.slice('container:'.length))
    return {
      path: `/proc/${requireRunning(other)}/ns/net`,
      around: { sameAs: other.paths.dir },
    }
  }
  if (isInUserNamespace()) {
    throw new DrayError('NETWORK_FAILED', `network ${mode} is a bridge, which only root can make`)
  }
  const network = await findNetwork(root, mode)
  const reservation = await reservePorts(portsOf(record))
  try {
    const names = [record.name, record.id.slice(0, 12), ...networkAliases]
    const { ports } = reservation
    const connection = await connect({ id: claim.id, paths: claim.paths, names }, network, {
      root,
      ports,
      searchPath,
      userNamespace: idMapOf(record.options) && claim.paths.userNamespace,
    })
    const hostname = hostnameOf(record.id, record.options)
    return {
      path: namespacePath(connection),
      reservation,
      around: {
        addresses: [connection.address],
        hostNames: hostname === record.name ? [hostname] : [hostname, record.name],
        gateway: network.gateway,
        isIsolated: true,
        ...(network.hasNames && { nameservers: [network.gateway], searchDomains: [SEARCH_DOMAIN] }),
      },
    }
  } catch (error) {
    reservation.release()
    throw error
  }
}

/** The ports to publish: those that are named, and with `publishAll` those that the image exposes. */
function portsOf({ rootfs, options }: ContainerRecord): PortMapping[] {
  const named = [...(options.ports ?? [])]
  if (!options.publishAll) return named
  const exposed = [...imagePorts(rootfs.config.config ?? {}), ...(options.exposedPorts ?? [])]
  return [...named, ...exposed.flatMap((text) => exposedPort(text, named))]
}

function exposedPort(text: string, named: readonly PortMapping[]): PortMapping[] {
  const match = /^(\d{1,5})\/(tcp|udp)$/.exec(text)
  const containerPort = Number(match?.[1])
  const protocol = match?.[2] as PortMapping['protocol']
  const isNamed = named.some(
    (port) => port.containerPort === containerPort && port.protocol === protocol,
  )
  return match === null || isNamed ? [] : [{ hostPort: 0, containerPort, protocol }]
}

/** Whether an option names a network, and no way to have none of one's own. */
export function isNetworkName(mode: ContainerOptions['network']): mode is string {
  return mode !== undefined && mode !== 'none' && mode !== 'host' && !mode.startsWith('container:')
}
