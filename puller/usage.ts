import type { Digest } from '#oci/digest.ts'
import { attachedImages } from './image/attached.ts'
import type { ImageUser } from './remove.ts'
import {
  addContents,
  type Contents,
  contentsOf,
  contentsOfDirs,
  KINDS,
  manifestsOf,
  noContents,
} from './store/contents.ts'
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

/** What one image takes on the disk, in bytes. */
export interface ImageUsage {
  readonly names: readonly string[]
  readonly digest: Digest
  readonly size: number
  /** What no other image has. */
  readonly unique: number
  /** How many containers were made of it. */
  readonly containers: number
}

/**
 * Measures each image, with its blobs and unpacked layers. What belongs to another one, such as its signatures, is one of its own.
 *
 * @throws CONTENT_MISMATCH, MANIFEST_INVALID when an image doesn't tell what it has
 */
export async function measureImages(
  store: Store,
  users: UsageOptions['users'],
): Promise<ImageUsage[]> {
  const images = Map.groupBy(await store.images(), ({ descriptor }) => descriptor.digest)
  const needs = new Map<Digest, Contents>()
  const shares = new Map<string, number>()
  for (const [digest, [image]] of images) {
    const needed = await contentsOf(store, image === undefined ? [] : [image.descriptor])
    needs.set(digest, needed)
    for (const kind of KINDS)
      for (const each of needed[kind])
        shares.set(`${kind} ${each}`, (shares.get(`${kind} ${each}`) ?? 0) + 1)
  }
  const sizes = new Map<string, number>()
  for (const item of await listItems(store.layout))
    sizes.set(`${item.kind} ${item.digest}`, await sizeOfItem(store.layout, item))
  const made = await users()
  return [...images].map(([digest, named]) => {
    const needed = needs.get(digest) ?? noContents()
    const keys = KINDS.flatMap((kind) => [...needed[kind]].map((each) => `${kind} ${each}`))
    const sum = (some: readonly string[]) =>
      some.reduce((bytes, key) => bytes + (sizes.get(key) ?? 0), 0)
    return {
      names: named.flatMap(({ name }) => name ?? []),
      digest,
      size: sum(keys),
      unique: sum(keys.filter((key) => shares.get(key) === 1)),
      containers: made.filter(({ manifestDigest }) => needed.blobs.has(manifestDigest)).length,
    }
  })
}
