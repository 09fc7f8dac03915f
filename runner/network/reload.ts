import { DrayError } from '#oci/error.ts'
import { changeContainer } from '../containers/change.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { requireRunning } from '../verbs/kill.ts'
import { refreshNetwork } from './bridge.ts'
import { readConnection } from './connections.ts'
import { dropPorts, rulesOf } from './links.ts'
import { nft } from './tools.ts'

/** Whether a container that runs has what {@link reloadNetworks} puts back. */
export function isOnNetworks({ paths }: Container): boolean {
  return readConnection(paths) !== undefined
}

/**
 * Puts back what others took away of a running container's networks: the rules of the packet filter, as when somebody flushes all
 * that the host has, the leave to forward, and the name server. What is there stays as it is, connections included.
 *
 * @throws CONTAINER_STATE when it doesn't run, or is on no network; NETWORK_FAILED
 */
export async function reloadNetworks(container: Container, context: RunnerContext): Promise<void> {
  // Whoever sees the end of a container with an owner has it all the time.
  if (container.record.keeper === 'owner') return await reload(container, context)
  await changeContainer(context.root, container, async (_, record) => {
    await reload({ ...container, record }, context)
  })
}

async function reload(container: Container, { root, hostEnv }: RunnerContext): Promise<void> {
  requireRunning(container)
  const { id, paths, record } = container
  const connection = readConnection(paths)
  if (connection === undefined) {
    const message = `container ${record.name} has no rules of its own (--network ${record.options.network ?? 'none'})`
    throw new DrayError('CONTAINER_STATE', message)
  }
  for (const { network } of connection.links) await refreshNetwork(root, network, hostEnv.PATH)
  await nft(hostEnv.PATH, rulesOf(connection))
  if (isRunning(readState(container))) return
  // It has ended meanwhile, and its ports may have been given up before they came back.
  await dropPorts({ root, id, paths, searchPath: hostEnv.PATH }, connection)
}
