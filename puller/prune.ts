import type { Digest } from '#oci/digest.ts'
import { attachedImages, withoutDetached } from './image/attached.ts'
import type { ImageUser, RemovedImage } from './remove.ts'
import { manifestsOf } from './store/contents.ts'
import { giveUpReserve } from './store/reserve.ts'
import type { Store } from './store/store.ts'

export interface PruneOptions {
  /** Also images that have a name. Default: only those that lost theirs. */
  readonly all?: boolean | undefined
  /** Which images may go, by the digest of what they are known by. Default: all. */
  readonly mayGo?: ((digest: Digest) => boolean) | undefined
  /** The containers there are, whether they run or not. */
  readonly users: () => Promise<readonly ImageUser[]>
}

/**
 * Removes the images that no container was made of, and what belonged to them, such as signatures. What they alone need is
 * garbage then.
 */
export async function pruneImages(
  store: Store,
  { all = false, mayGo = () => true, users }: PruneOptions,
): Promise<RemovedImage[]> {
  giveUpReserve(store.layout)
  const removed = new Map<string, RemovedImage>()
  let detached: readonly string[] = []
  await store.change(async (images) => {
    const used = new Set((await users()).map(({ manifestDigest }) => manifestDigest))
    const attached = await attachedImages(store, images)
    for (const image of images) {
      const { descriptor } = image
      const { digest } = descriptor
      if (attached.has(image) || !mayGo(digest)) continue
      const same = images.filter((image) => image.descriptor.digest === digest)
      const untagged = same.flatMap(({ name }) => (name === undefined ? [] : [name]))
      if (removed.has(digest) || (!all && untagged.length > 0)) continue
      if (!(await manifestsOf(store, descriptor)).isDisjointFrom(used)) continue
      removed.set(digest, { untagged, deleted: digest })
    }
    const kept = images.filter(({ descriptor }) => !removed.has(descriptor.digest))
    const left = await withoutDetached(store, attached, kept)
    detached = left.detached
    return left.images
  })
  const others = detached.length === 0 ? [] : [{ untagged: detached, deleted: undefined }]
  return [...removed.values(), ...others]
}
