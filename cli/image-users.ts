import type { ImageUser } from '#puller/index.ts'
import type { StoreOptions } from './commands/options.ts'
import { runnerContext } from './containers.ts'

/** What containers have of images. One that can't be read might have anything, so it is an error. */
export interface ContainersOfStore {
  users(): Promise<readonly ImageUser[]>
  dirsInUse(): Promise<readonly string[]>
}

export function containersOfStore(options: StoreOptions): ContainersOfStore {
  const { root } = runnerContext(options)
  const list = async () => {
    const { listContainers } = await import('#runner/containers/find.ts')
    return await listContainers(root, (error) => {
      throw error
    })
  }
  return {
    users: async () =>
      (await list()).map(({ record }) => ({
        container: record.name,
        manifestDigest: record.rootfs.manifestDigest,
      })),
    dirsInUse: async () => (await list()).flatMap(({ record }) => record.rootfs.lowerDirs),
  }
}
