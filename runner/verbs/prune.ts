import { errorMessage } from '#oci/error.ts'
import { labelsOf, type Seen } from '../containers/filter.ts'
import { readState } from '../containers/state.ts'
import { passesFilters, pruneTests } from '../filters.ts'
import type { NetworkRecord } from '../network/model.ts'
import { attachmentsOf } from '../network/attachments.ts'
import { takeDownUnused } from '../network/bridge.ts'
import { listNetworks, removeNetwork, DEFAULT_NETWORK } from '../network/store.ts'
import { listVolumes, removeVolume, type StoredVolume, volumesInUse } from '../volumes/store.ts'
import { listSeen } from './list.ts'
import { removeContainer } from './remove.ts'

/** Names of what was removed; what couldn't be is told to `onTrouble`. */
export interface Pruned {
  readonly containers: readonly string[]
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
}

type OnTrouble = (message: string) => void

interface PruneOptions {
  /** `KEY=VALUE`, as docker has them: those that all pass are removed. Default: none, all pass. */
  readonly filters?: readonly string[] | undefined
}

/** What of containers, or networks, filters may be about. */
const containerTests = pruneTests<Seen>({
  labelsOf: ({ container }) => labelsOf(container),
  createdOf: ({ container }) => Date.parse(container.record.createdAt),
})
const networkTests = pruneTests<NetworkRecord>({
  labelsOf: ({ labels }) => labels,
  createdOf: ({ createdAt }) => Date.parse(createdAt),
})
const volumeTests = pruneTests<StoredVolume>({ labelsOf: ({ labels }) => labels })

/** Removes containers that don't run. @throws USAGE */
export async function pruneContainers(
  root: string,
  onTrouble: OnTrouble,
  { filters = [] }: PruneOptions = {},
): Promise<string[]> {
  const passes = passesFilters(filters, containerTests)
  const seen = await listSeen(root, {
    all: true,
    onTrouble: (error) => onTrouble(errorMessage(error)),
  })
  const ended = seen.filter(
    (each) => ['created', 'exited'].includes(readState(each.container).status) && passes(each),
  )
  return await removeEach(ended, onTrouble, async ({ container }) => {
    await removeContainer(root, container)
    return container.id
  })
}

/** Removes networks that no container is to be on. @throws USAGE */
export async function pruneNetworks(
  root: string,
  onTrouble: OnTrouble,
  { filters = [] }: PruneOptions = {},
): Promise<string[]> {
  const passes = passesFilters(filters, networkTests)
  const used = new Set(
    (await listSeen(root, { all: true })).flatMap(({ container }) =>
      attachmentsOf(container.record.options).map(({ name }) => name),
    ),
  )
  const unused = (await listNetworks(root)).filter(
    (network) => !used.has(network.name) && passes(network),
  )
  const removed = await removeEach(unused, onTrouble, async (network) => {
    await takeDownUnused(root, network)
    if (network.name !== DEFAULT_NETWORK) await removeNetwork(root, network.name)
    return network.name
  })
  return removed.filter((name) => name !== DEFAULT_NETWORK)
}

/** Removes volumes that no container has: those with made-up names, or all of them. @throws USAGE */
export async function pruneVolumes(
  root: string,
  onTrouble: OnTrouble,
  { all = false, filters = [] }: PruneOptions & { readonly all?: boolean | undefined } = {},
): Promise<string[]> {
  const passes = passesFilters(filters, volumeTests)
  const used = await volumesInUse(root)
  const unused = (await listVolumes(root)).filter(
    (volume) => !used.has(volume.name) && (all || volume.isAnonymous) && passes(volume),
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
