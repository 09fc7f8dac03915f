import { DrayError } from '#oci/error.ts'
import { changeContainer } from '../containers/change.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { writeEtcFiles } from '../etc-files.ts'
import { type Claim, type ContainerRecord, writeRecord } from '../record.ts'
import { hostnameOf } from '../spec.ts'
import { attachmentsOf, isNetworkName, optionsFor } from './attachments.ts'
import { readConnection } from './connections.ts'
import { dropPorts, enter, leadByMainLink, leave, plug } from './links.ts'
import type { Attachment, Connection } from './model.ts'
import { aroundOf, namesOf } from './setup.ts'
import { findNetwork } from './store.ts'

/** Puts a container on one more network: at once when it runs, and at every start. @throws CONTAINER_STATE, NETWORK_UNKNOWN, NETWORK_FAILED, USAGE */
export async function joinNetwork(
  container: Container,
  attachment: Attachment,
  context: RunnerContext,
): Promise<void> {
  const { root } = context
  const network = await findNetwork(root, attachment.name)
  await changeContainer(root, container, async (claim, record) => {
    const { options, name } = record
    const networks = attachmentsOf(options)
    if (networks.some((other) => other.name === network.name)) {
      throw new DrayError(
        'CONTAINER_STATE',
        `container ${name} is on network ${network.name} already`,
      )
    }
    if (
      options.network !== 'none' &&
      options.network !== undefined &&
      !isNetworkName(options.network)
    ) {
      const message = `container ${name} has the network of others (--network ${options.network})`
      throw new DrayError('CONTAINER_STATE', message)
    }
    const changed = { ...record, options: { ...options, ...optionsFor([...networks, attachment]) } }
    const connection = connectionNow(container, claim, record)
    if (connection !== undefined) {
      const guest = { root, id: claim.id, paths: claim.paths, searchPath: context.hostEnv.PATH }
      const wanted = { network, attachment, names: namesOf(record) }
      const next = await enter(guest, connection, wanted)
      const link = next.links.at(-1)
      if (link !== undefined) await plug(guest, next.namespace, link)
      await leadByMainLink(guest, next)
      await tellFiles(claim, changed, next)
    }
    await writeRecord(claim.paths, changed)
  })
}

/** Takes a container off a network. @throws CONTAINER_STATE when it isn't on it; NETWORK_FAILED */
export async function leaveNetworkOf(
  container: Container,
  name: string,
  context: RunnerContext,
): Promise<void> {
  const { root } = context
  await changeContainer(root, container, async (claim, record) => {
    const networks = attachmentsOf(record.options)
    const others = networks.filter((other) => other.name !== name)
    if (others.length === networks.length) {
      const message = `container ${record.name} is not on network ${name}`
      throw new DrayError('CONTAINER_STATE', message)
    }
    const changed = { ...record, options: { ...record.options, ...optionsFor(others) } }
    const connection = connectionNow(container, claim, record)
    const link = connection?.links.find(({ network }) => network.name === name)
    if (connection !== undefined && link !== undefined) {
      const guest = { root, id: claim.id, paths: claim.paths, searchPath: context.hostEnv.PATH }
      await dropPorts(connection)
      const next = await leave(guest, connection, link)
      await leadByMainLink(guest, next)
      await tellFiles(claim, changed, next)
    }
    await writeRecord(claim.paths, changed)
  })
}

/** Undefined when it doesn't run. */
function connectionNow(
  container: Container,
  { paths }: Claim,
  record: ContainerRecord,
): Connection | undefined {
  if (!isRunning(readState({ ...container, record }))) return undefined
  const connection = readConnection(paths)
  if (connection !== undefined) return connection
  const message = `container ${record.name} was started without a network: stop it first`
  throw new DrayError('CONTAINER_STATE', message)
}

/** Its /etc/hosts and /etc/resolv.conf, which are mounted: written in place. */
async function tellFiles({ paths }: Claim, record: ContainerRecord, connection: Connection) {
  const hostname = hostnameOf(record.id, record.options)
  await writeEtcFiles(paths.dir, hostname, record.options, aroundOf(record, connection))
}
