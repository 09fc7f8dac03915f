import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { isErrno } from '#oci/error.ts'
import { makeNetworkNamespace, shareDirectory, unmount } from '../sys.ts'
import { makeOwnedNetworkNamespace } from '../userns/namespace.ts'
import { alone } from './bridge.ts'
import { NAMESPACES, namespacePath, readConnection } from './connections.ts'
import { dropPorts, enter, type Guest, leadByMainLink, leave, plug, type Wanted } from './links.ts'
import type { Connection, PortMapping } from './model.ts'

/**
 * Puts a container that is about to start on its networks: a namespace, and for each a pair of interfaces and an address; rules
 * for its ports. What was done is found again by {@link disconnect}, even when this is cut off.
 *
 * @throws NETWORK_FAILED
 */
export async function connect(
  guest: Guest,
  wanted: readonly Wanted[],
  options: {
    readonly ports: readonly PortMapping[]
    /** Where the user namespace is that owns the network; default: the host's. */
    readonly userNamespace: string | undefined
  },
): Promise<Connection> {
  const namespace = `dray-${guest.id.slice(0, 16)}`
  let connection: Connection = { namespace, ports: options.ports, links: [] }
  for (const one of wanted) {
    connection = await enter(guest, connection, one)
    if (connection.links.length === 1) await makeNamespace(connection, options.userNamespace)
    const link = connection.links.at(-1)
    if (link !== undefined) await plug(guest, namespace, link)
  }
  await leadByMainLink(guest, connection)
  return connection
}

/** Takes a container off its networks, if it is on any. What is gone already is no error. */
export async function disconnect(guest: Guest): Promise<void> {
  let connection = readConnection(guest.paths)
  if (connection === undefined) return
  await dropPorts(guest, connection)
  const namespace = namespacePath(connection)
  if (existsSync(namespace)) {
    unmount(namespace)
    await removeFile(namespace)
  }
  for (const link of connection.links) connection = await leave(guest, connection, link)
  await rm(guest.paths.network, { force: true })
}

async function makeNamespace(
  connection: Connection,
  userNamespace: string | undefined,
): Promise<void> {
  await mkdir(NAMESPACES, { recursive: true })
  // ip(8) and podman do so when they first come here; what was mounted before is hidden from then on.
  await alone(async () => shareDirectory(NAMESPACES))
  if (userNamespace === undefined) makeNetworkNamespace(namespacePath(connection))
  else await makeOwnedNetworkNamespace(namespacePath(connection), userNamespace)
}

/** A namespace that is hidden below a later mount of the directory stays, without its interfaces, until the host boots again. */
async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
  } catch (error) {
    if (!isErrno(error, 'EBUSY')) throw error
  }
}
