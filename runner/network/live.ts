import { DrayError } from '#oci/error.ts'
import { changeContainer } from '../containers/change.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { writeEtcFiles } from '../etc-files.ts'
import { type Claim, type ContainerRecord, writeRecord } from '../record.ts'
import { hostnameOf } from '../spec.ts'
import { attachmentsOf, isNetworkName, optionsFor } from './attachments.ts'
import { readConnection } from './connections.ts'
import { dropPorts, enter, type Guest, leadByMainLink, leave, mainLink, plug } from './links.ts'
import type { Attachment, Connection } from './model.ts'
import { aroundOf, namesOf } from './setup.ts'
import { findNetwork } from './store.ts'

/**
 * Puts a container on one more network: at once when it runs, and at every start.
 *
 * @throws CONTAINER_STATE, NETWORK_UNKNOWN, NETWORK_FAILED, USAGE
 */
export async function joinNetwork(
  container: Container,
  attachment: Attachment,
  context: RunnerContext,
): Promise<void> {
  const network = await findNetwork(context.root, attachment.name)
  await changeContainer(context.root, container, async (claim, record) => {
    const { options } = record
    checkMayJoin(record, network.name)
    const networks = [...attachmentsOf(options), attachment]
    const changed = { ...record, options: { ...options, ...optionsFor(networks) } }
    await relink({ container, claim, record: changed, context }, async (guest, connection) => {
      // What somebody left who was cut off here.
      const half = connection.links.find((link) => link.network.name === network.name)
      const before = half === undefined ? connection : await leave(guest, connection, half)
      const next = await enter(guest, before, { network, attachment, names: namesOf(record) })
      const link = next.links.at(-1)
      if (link !== undefined) await plug(guest, next.namespace, link)
      return next
    })
    await writeRecord(claim.paths, changed)
  })
}

/**
 * Takes a container off a network.
 *
 * @throws CONTAINER_STATE when it isn't on it, unless by force; NETWORK_FAILED
 */
export async function leaveNetworkOf(
  container: Container,
  name: string,
  { context, force }: { readonly context: RunnerContext; readonly force: boolean },
): Promise<void> {
  await changeContainer(context.root, container, async (claim, record) => {
    const { options } = record
    const networks = attachmentsOf(options)
    const others = networks.filter((other) => other.name !== name)
    if (others.length === networks.length) {
      if (force) return
      const message = `container ${record.name} is not on network ${name}`
      throw new DrayError('CONTAINER_STATE', message)
    }
    const changed = { ...record, options: { ...options, ...optionsFor(others) } }
    await relink({ container, claim, record: changed, context }, async (guest, connection) => {
      const link = connection.links.find(({ network }) => network.name === name)
      return link === undefined ? connection : await leave(guest, connection, link)
    })
    await writeRecord(claim.paths, changed)
  })
}

function checkMayJoin({ options, name }: ContainerRecord, network: string): void {
  if (attachmentsOf(options).some((other) => other.name === network)) {
    throw new DrayError('CONTAINER_STATE', `container ${name} is on network ${network} already`)
  }
  const { network: mode = 'none' } = options
  if (mode === 'none' || isNetworkName(mode)) return
  throw new DrayError('CONTAINER_STATE', `container ${name} has the network of others (${mode})`)
}

interface Change {
  readonly container: Container
  readonly claim: Claim
  /** As it will be. */
  readonly record: ContainerRecord
  readonly context: RunnerContext
}

/** Changes what a container has on its networks, if it runs: its way out, its ports and its files go with it. */
async function relink(
  { container, claim, record, context }: Change,
  change: (guest: Guest, connection: Connection) => Promise<Connection>,
): Promise<void> {
  const { id, paths } = claim
  if (!isRunning(readState({ ...container, record }))) return
  const connection = readConnection(paths)
  if (connection === undefined) {
    const message = `container ${record.name} was started without a network: stop it first`
    throw new DrayError('CONTAINER_STATE', message)
  }
  const guest = { root: context.root, id, paths, searchPath: context.hostEnv.PATH }
  const next = await change(guest, connection)
  if (mainLink(next) !== mainLink(connection)) {
    await dropPorts(guest, connection)
    await leadByMainLink(guest, next)
  }
  const hostname = hostnameOf(id, record.options)
  // They are mounted: written in place.
  writeEtcFiles(paths.dir, hostname, record.options, aroundOf(record, next))
}
