import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '#oci/error.ts'
import type { Store } from '#puller/index.ts'
import type { StoreOptions } from './commands/options.ts'
import { inflaterOf } from './inflater.ts'
import { say } from './output/print.ts'
import { rootDir } from './root-dir.ts'

/** Opens the local store, and removes what commands that were killed left running or mounted in it. */
export async function openLocalStore(options: StoreOptions): Promise<Store> {
  const root = rootDir(options.root)
  // Not by the public faces, which bring all that a transfer, or running a container, needs.
  const { openStore } = await import('#puller/store/store.ts')
  const { unmountUnused } = await import('#puller/store/mounts.ts')
  const store = await openStore(root, { inflater: inflaterOf(), ...layerOptions(options) })
  if (await hasContainers(root)) {
    const { cleanUpContainers } = await import('#runner/cleanup.ts')
    const { failed } = await cleanUpContainers(root)
    for (const { id, reason } of failed)
      say(`dray: cannot remove what is left of container ${id}: ${reason}`)
  }
  await unmountUnused(store.layout)
  return store
}

/** What the options say of new layers. */
export function layerOptions({ layerStore, layerVerity }: StoreOptions) {
  return { layerStore, layerVerity: layerVerity === 'on' }
}

async function hasContainers(root: string): Promise<boolean> {
  try {
    return (await readdir(join(root, 'containers'))).length > 0
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
