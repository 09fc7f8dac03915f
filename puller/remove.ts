import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { attachedImages, withoutDetached } from './image/attached.ts'
import { type FoundImage, findLocal, repositoryOf } from './image/find-local.ts'
import { manifestsOf } from './store/contents.ts'
import { type NamedImage, withoutNeedless } from './store/image-index.ts'
import { giveUpReserve } from './store/reserve.ts'
import type { Store } from './store/store.ts'

/** A container that was made of an image. */
export interface ImageUser {
  readonly container: string
  readonly manifestDigest: Digest
}

export interface RemoveOptions {
  /** Removes also what containers use, and, as `anyRepository` does, by a digest. */
  readonly force?: boolean | undefined
  /** Removes an image with names in several repositories by its digest. */
  readonly anyRepository?: boolean | undefined
  /** The containers there are, whether they run or not. */
  readonly users: () => Promise<readonly ImageUser[]>
}

/** What an image lost, or that it is gone. */
export interface RemovedImage {
  readonly untagged: readonly string[]
  /** Undefined when it has other names still. */
  readonly deleted: Digest | undefined
}

/**
 * Takes a name from an image of the local store, and the image out of it when it was the last one; by its digest, all names.
 * What belonged to the image, such as its signatures, goes with it, unless it belongs to another one as well.
 * Its blobs and layers are garbage then ({@link removeGarbage}), but for the layers that a container uses.
 *
 * @param text what {@link findLocal} finds it by
 * @throws IMAGE_UNKNOWN; IMAGE_IN_USE when a container uses it; USAGE
 */
export async function removeImage(
  store: Store,
  text: string,
  options: RemoveOptions,
): Promise<RemovedImage> {
  giveUpReserve(store.layout)
  let removed: RemovedImage | undefined
  await store.change(async (images) => {
    const image = await findLocal(store, images, text)
    if (!images.some(({ descriptor }) => descriptor.digest === image.descriptor.digest))
      throw new DrayError('USAGE', `several images have the manifest ${text}: remove them by name`)
    const isLast = image.name === undefined || image.names.length === 1
    if (!options.force) {
      if (image.name === undefined && !options.anyRepository) checkRepositories(image, text)
      if (isLast) await checkUsers(store, image, text, await options.users())
    }
    const attached = await attachedImages(store, images)
    const left = await withoutDetached(store, attached, without(images, image))
    const untagged = image.name === undefined ? image.names : [image.name]
    removed = {
      untagged: [...untagged, ...left.detached],
      deleted: isLast ? image.descriptor.digest : undefined,
    }
    return left.images
  })
  return removed ?? { untagged: [], deleted: undefined }
}

function without(images: readonly NamedImage[], { descriptor, name }: FoundImage): NamedImage[] {
  return withoutNeedless(
    images.filter((image) =>
      name === undefined ? image.descriptor.digest !== descriptor.digest : image.name !== name,
    ),
  )
}

/** As docker: a digest says nothing of which repository is meant. */
function checkRepositories({ names }: FoundImage, text: string): void {
  const repositories = new Set(names.map(repositoryOf))
  if (repositories.size < 2) return
  throw new DrayError(
    'USAGE',
    `image ${text} has names in several repositories (${names.join(', ')}): remove it by name, or all at once with --force`,
  )
}

async function checkUsers(
  store: Store,
  { descriptor }: FoundImage,
  text: string,
  users: readonly ImageUser[],
): Promise<void> {
  const manifests = await manifestsOf(store, descriptor)
  const names = users
    .filter(({ manifestDigest }) => manifests.has(manifestDigest))
    .map(({ container }) => container)
  if (names.length === 0) return
  throw new DrayError(
    'IMAGE_IN_USE',
    `image ${text} is used by container ${names.join(', ')}: remove that first (dray rm), or take the name away with --force; ` +
      'what the container needs stays',
  )
}
