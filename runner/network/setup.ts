import { isInUserNamespace } from '#oci/user-namespace.ts'
import { imagePorts } from '../containers/image.ts'
import { findContainer } from '../containers/find.ts'
import type { RunnerContext } from '../context.ts'
import type { Surroundings } from '../etc-files.ts'
import type { Claim, ContainerRecord } from '../record.ts'
import { hostnameOf } from '../spec.ts'
import { idMapOf } from '../userns/resolve.ts'
import { requireRunning } from '../verbs/kill.ts'
import { attachmentsOf } from './attachments.ts'
import { connect } from './connect.ts'
import { namespacePath } from './connections.ts'
import { SEARCH_DOMAIN } from './dns.ts'
import { choosePublishers } from './firewall.ts'
import { mainLink } from './links.ts'
import type { Connection, PortMapping } from './model.ts'
import { type Reservation, reservePorts } from './reserve.ts'
import { findNetwork, needsRoot } from './store.ts'
import { isUserModeProgram } from './user-mode/programs.ts'
import { setUpUserMode } from './user-mode/setup.ts'

/** What a container's start needs to know of its network. */
export interface NetworkSetup {
  /** Of a namespace that is there already. */
  readonly path?: string | undefined
  readonly around: Surroundings
  /** Ports that are ours, until the container's monitor holds them or the container has ended. */
  readonly reservation?: Reservation | undefined
}

/**
 * Puts a container that is about to start on the networks that its options name.
 *
 * @throws NETWORK_UNKNOWN, NETWORK_FAILED, PORT_TAKEN, CONTAINER_UNKNOWN, CONTAINER_STATE
 */
export async function setUpNetwork(
  claim: Claim,
  record: ContainerRecord,
  context: RunnerContext,
): Promise<NetworkSetup> {
  const { network: mode = 'none' } = record.options
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
  if (isUserModeProgram(mode)) return await setUpUserMode(claim, portsOf(record), mode, searchPath)
  const attachments = attachmentsOf(record.options)
  if (isInUserNamespace()) throw needsRoot(attachments.map(({ name }) => name))
  const wanted = await Promise.all(
    attachments.map(async (attachment) => ({
      network: await findNetwork(root, attachment.name),
      attachment,
      names: namesOf(record),
    })),
  )
  const has6 = wanted.some(({ network }) => network.subnet6 !== undefined)
  const ports = await choosePublishers(portsOf(record), record.options.publishBy, searchPath)
  const reservation = await reservePorts(ports, { has6 })
  try {
    const guest = { root, id: claim.id, paths: claim.paths, searchPath }
    const connection = await connect(guest, wanted, {
      ports: reservation.ports,
      userNamespace: idMapOf(record.options) && claim.paths.userNamespace,
    })
    const path = namespacePath(connection)
    return { path, reservation, around: aroundOf(record, connection) }
  } catch (error) {
    reservation.release()
    throw error
  }
}

/** What a container is called on its networks, without aliases. */
export function namesOf({ name, id }: ContainerRecord): string[] {
  return [name, id.slice(0, 12)]
}

/** What a container's files in /etc say of its networks. */
export function aroundOf(record: ContainerRecord, connection: Connection): Surroundings {
  const hostname = hostnameOf(record.id, record.options)
  const { links } = connection
  const named = links.filter(({ network }) => network.hasNames)
  return {
    addresses: links.flatMap(({ address, address6 }) =>
      address6 ? [address, address6] : [address],
    ),
    hostNames: hostname === record.name ? [hostname] : [hostname, record.name],
    gateway: mainLink(connection)?.network.gateway,
    isIsolated: true,
    ...(named.length > 0 && {
      nameservers: named.map(({ network }) => network.gateway),
      // aardvark-dns 1.4 finds names of a second network only without its domain.
      searchDomains: [links.length > 1 ? '.' : SEARCH_DOMAIN],
    }),
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
