import { type ImageUser, manifestsOf, type RemovedImage } from './remove.ts'
import type { Store } from './store/store.ts'

export interface PruneOptions {
  /** Also images that have a name. Default: only those that lost theirs. */
  readonly all?: boolean | undefined
  /** The containers there are, whether they run or not. */
  readonly users: () => Promise<readonly ImageUser[]>
}

/** Removes the images that no container was made of. What they alone need is garbage then. */
export async function pruneImages(
  store: Store,
  { all = false, users }: PruneOptions,
): Promise<RemovedImage[]> {
  const removed = new Map<string, RemovedImage>()
  await store.change(async (images) => {
    const used = new Set((await users()).map(({ manifestDigest }) => manifestDigest))
    for (const { descriptor } of images) {
      const { digest } = descriptor
      const same = images.filter((image) => image.descriptor.digest === digest)
      const untagged = same.flatMap(({ name }) => (name === undefined ? [] : [name]))
      if (removed.has(digest) || (!all && untagged.length > 0)) continue
      if (!(await manifestsOf(store, descriptor)).isDisjointFrom(used)) continue
      removed.set(digest, { untagged, deleted: digest })
    }
    return images.filter(({ descriptor }) => !removed.has(descriptor.digest))
  })
  return [...removed.values()]
}
