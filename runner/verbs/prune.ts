import { errorMessage } from '#oci/error.ts'
import { readState } from '../containers/state.ts'
import { attachmentsOf } from '../network/attachments.ts'
import { takeDownUnused } from '../network/bridge.ts'
import { listNetworks, removeNetwork, DEFAULT_NETWORK } from '../network/store.ts'
import { listVolumes, removeVolume, volumesInUse } from '../volumes/store.ts'
import { listSeen } from './list.ts'
import { removeContainer } from './remove.ts'

/** Names of what was removed; what couldn't be is told to `onTrouble`. */
export interface Pruned {
  readonly containers: readonly string[]
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
}

type OnTrouble = (message: string) => void

/** Removes containers that don't run. */
export async function pruneContainers(root: string, onTrouble: OnTrouble): Promise<string[]> {
  const seen = await listSeen(root, {
    all: true,
    onTrouble: (error) => onTrouble(errorMessage(error)),
  })
  const ended = seen.filter(({ container }) =>
    ['created', 'exited'].includes(readState(container).status),
  )
  return await removeEach(ended, onTrouble, async ({ container }) => {
    await removeContainer(root, container)
    return container.id
  })
}

/** Removes networks that no container is to be on. */
export async function pruneNetworks(root: string, onTrouble: OnTrouble): Promise<string[]> {
  const used = new Set(
    (await listSeen(root, { all: true })).flatMap(({ container }) =>
      attachmentsOf(container.record.options).map(({ name }) => name),
    ),
  )
  const unused = (await listNetworks(root)).filter(({ name }) => !used.has(name))
  const removed = await removeEach(unused, onTrouble, async (network) => {
    await takeDownUnused(root, network)
    if (network.name !== DEFAULT_NETWORK) await removeNetwork(root, network.name)
    return network.name
  })
  return removed.filter((name) => name !== DEFAULT_NETWORK)
}

/** Removes volumes that no container has: those with made-up names, or all of them. */
export async function pruneVolumes(
  root: string,
  onTrouble: OnTrouble,
  { all = false } = {},
): Promise<string[]> {
  const used = await volumesInUse(root)
  const unused = (await listVolumes(root)).filter(
    ({ name, isAnonymous }) => !used.has(name) && (all || isAnonymous),
  )
  return await removeEach(unused, onTrouble, async ({ name }) => {
    await removeVolume(root, name)
    return name
  })
}

async function removeEach<T>(
  items: readonly T[],
  onTrouble: OnTrouble,
  remove: (item: T) => Promise<string>,
): Promise<string[]> {
  const removed: string[] = []
  for (const item of items) {
    try {
      removed.push(await remove(item))
    } catch (error) {
      onTrouble(errorMessage(error))
    }
  }
  return removed
}
