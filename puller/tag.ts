import { DrayError } from '#oci/error.ts'
import { formatReference, type Reference, withDefaultTag } from '#oci/reference.ts'
import { findLocal } from './image/find-local.ts'
import { withImage } from './store/image-index.ts'
import type { Store } from './store/store.ts'

/**
 * Gives an image of the local store one more name; the manifest for one platform, if it is asked for by that.
 *
 * @param image what {@link findLocal} finds it by
 * @throws IMAGE_UNKNOWN, USAGE
 */
export async function tagImage(store: Store, image: string, target: Reference): Promise<void> {
  if (target.digest !== undefined) {
    throw new DrayError('USAGE', 'a new name has a tag, and no digest: write NAME:TAG')
  }
  const name = formatReference(withDefaultTag(target))
  await store.change(async (images) => {
    const { descriptor, manifest } = await findLocal(store, images, image)
    return withImage(images, { name, descriptor: manifest ?? descriptor })
  })
}
