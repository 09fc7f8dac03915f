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

/** What each image, container and volume of a store takes on the disk, in bytes. */
export async function measureEach(store: Store, options: StoreOptions) {
  const { measureImages } = await import('#puller/index.ts')
  const { measureEachContainer, measureEachVolume } = await import('#runner/disk-usage.ts')
  const { root } = runnerContext(options)
  const images = await measureImages(store, containersOfStore(options).users)
  return {
    images: images.map(({ names, digest, size, unique, containers }) => ({
      Names: names,
      ID: digest,
      Size: size,
      UniqueSize: unique,
      Containers: containers,
    })),
    containers: (await measureEachContainer(root)).map(({ container, state, size }) => ({
      ID: container.id,
      Name: container.record.name,
      Image: container.record.image,
      State: state.status,
      Size: size,
    })),
    volumes: (await measureEachVolume(root)).map(({ name, users, size }) => ({
      Name: name,
      Links: users,
      Size: size,
    })),
  }
}

/** All bytes together. */
export function sizeOfAll(usages: readonly Usage[]): number {
  return usages.reduce((sum, { size }) => sum + size, 0)
}
