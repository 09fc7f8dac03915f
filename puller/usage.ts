import { attachedImages } from './image/attached.ts'
import type { ImageUser } from './remove.ts'
import { addContents, contentsOf, contentsOfDirs, manifestsOf } from './store/contents.ts'
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
 * there is a container of it. What belongs to an image, such as its signatures, is in use when it is, and counts as no image.
 *
 * @throws CONTENT_MISMATCH, MANIFEST_INVALID when an image doesn't tell what it has
 */
export async function measureStore(
  store: Store,
  { users, dirsInUse }: UsageOptions,
): Promise<StoreUsage> {
  const used = new Set((await users()).map(({ manifestDigest }) => manifestDigest))
  const listed = await store.images()
  const attached = await attachedImages(store, listed)
  const images = new Map(
    listed.filter((image) => !attached.has(image)).map((image) => [image.descriptor.digest, image]),
  )
  const active = []
  for (const image of images.values()) {
    if (!(await manifestsOf(store, image.descriptor)).isDisjointFrom(used)) active.push(image)
  }
  const ofActive = await attachedImages(store, [...active, ...attached])
  const inUse = [...active, ...ofActive].map(({ descriptor }) => descriptor)
  const needed = await contentsOf(store, inUse)
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
