import { type ImageUser, manifestsOf } from './remove.ts'
import { addContents, contentsOf, contentsOfDirs } from './store/contents.ts'
import { type DirsInUse, listItems, sizeOfItem } from './store/garbage.ts'
import { measureIngests } from './store/stale-ingests.ts'
import type { Store } from './store/store.ts'

/** What one kind of thing takes on the disk, in bytes. */
export interface Usage {
  readonly total: number
  /** How many are in use. */
  readonly active: number
  readonly size: number
  /** What would be free without those that are not in use. */
  readonly reclaimable: number
}

export interface StoreUsage {
  readonly images: Usage
  /** Blobs that pulls left unfinished, or are at work on. */
  readonly ingests: Usage
}

export interface UsageOptions {
  /** The containers there are, whether they run or not. */
  readonly users: () => Promise<readonly ImageUser[]>
  readonly dirsInUse: DirsInUse
}

/**
 * Measures images, with their blobs and unpacked layers, each counted once however many images share it. An image is in use when
 * there is a container of it.
 *
 * @throws CONTENT_MISMATCH, MANIFEST_INVALID, IMAGE_CONFIG_INVALID when an image doesn't tell what it has
 */
export async function measureStore(
  store: Store,
  { users, dirsInUse }: UsageOptions,
): Promise<StoreUsage> {
  const used = new Set((await users()).map(({ manifestDigest }) => manifestDigest))
  const images = new Map(
    (await store.images()).map(({ descriptor }) => [descriptor.digest, descriptor]),
  )
  const active = []
  for (const descriptor of images.values()) {
    if (!(await manifestsOf(store, descriptor)).isDisjointFrom(used)) active.push(descriptor)
  }
  const needed = await contentsOf(store, active)
  addContents(needed, contentsOfDirs(store.layout, await dirsInUse()))
  let size = 0
  let reclaimable = 0
  for (const item of await listItems(store.layout)) {
    const bytes = await sizeOfItem(store.layout, item)
    size += bytes
    if (!needed[item.kind].has(item.digest)) reclaimable += bytes
  }
  const { count, bytes, open } = await measureIngests(store.layout)
  return {
    images: { total: images.size, active: active.length, size, reclaimable },
    ingests: {
      total: count,
      active: open.count,
      size: bytes,
      reclaimable: bytes - open.bytes,
    },
  }
}
