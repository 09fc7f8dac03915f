import type { Store, Usage } from '#puller/index.ts'
import type { StoreOptions } from './commands/options.ts'
import { runnerContext } from './containers.ts'
import { containersOfStore } from './image-users.ts'

/** What everything of a store takes on the disk, by kind. */
export async function measureAll(
  store: Store,
  options: StoreOptions,
): Promise<readonly (Usage & { readonly type: string })[]> {
  const { measureStore } = await import('#puller/index.ts')
  const { measureContainers, measureVolumes } = await import('#runner/disk-usage.ts')
  const { root } = runnerContext(options)
  const { images, ingests } = await measureStore(store, containersOfStore(options))
  return [
    { type: 'Images', ...images },
    { type: 'Containers', ...(await measureContainers(root)) },
    { type: 'Local Volumes', ...(await measureVolumes(root)) },
    { type: 'Unfinished Pulls', ...ingests },
  ]
}

/** All bytes together. */
export function sizeOfAll(usages: readonly Usage[]): number {
  return usages.reduce((sum, { size }) => sum + size, 0)
}
