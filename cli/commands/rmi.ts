import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Store } from '#puller/index.ts'
import { forEachName, unlessGone } from '../containers.ts'
import { type ContainersOfStore, containersOfStore } from '../image-users.ts'
import { ignored, refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface RmiOptions extends StoreOptions {
  readonly all?: true
  readonly force?: true
  readonly ignore?: true
}

export function rmiCommand(): Command {
  const command = new Command('rmi')
    .description('Remove images from the local store, and at once what no other image needs')
    .argument(
      '[image...]',
      'names take just the name away; digests and ids, or their first digits, all',
    )
    .option(
      '-f, --force',
      'also what containers use (they keep their layers); no error for images that are not there',
    )
    .option('-a, --all', 'all images; those that containers use only with --force')
    .option('-i, --ignore', 'no error for images that are not there')
  withFlagsOfOthers(
    command,
    ignored('--no-prune'), // layers are no images here
    refused('--platform <platform>', 'an image is removed whole: name the digest of a manifest'),
  )
  return withExamples(withStoreOptions(command), [
    ['dray rmi app:1.2', 'the name, and the image if it has no other'],
    ['dray rmi 3f2a91c04b7e', 'an image with all its names in one repository'],
    ['dray rmi -a', 'all that no container uses; with -f, really all'],
  ]).action(rmi)
}

async function rmi(images: readonly string[], options: RmiOptions): Promise<void> {
  const { removeGarbage } = await import('#puller/index.ts')
  const store = await openLocalStore(options)
  const containers = containersOfStore(options)
  const chosen = await namedOrAllImages(store, images, options)
  await forEachName(chosen, (image) =>
    removeOne(store, image, { ...options, ...containers, anyRepository: options.all }),
  )
  await removeGarbage(store, containers.dirsInUse)
}

/** The images that were named, or the digests of all. @throws USAGE for both, or none */
async function namedOrAllImages(
  store: Store,
  named: readonly string[],
  options: RmiOptions,
): Promise<readonly string[]> {
  const all = options.all === true
  if (all === named.length > 0) {
    throw new DrayError('USAGE', 'name images, or say --all for all that there are')
  }
  if (!all) return named
  const { listImages } = await import('#puller/index.ts')
  const images = (await listImages(store)).filter(({ isAttached }) => !isAttached)
  return [...new Set(images.map(({ digest }) => digest))]
}

async function removeOne(
  store: Store,
  image: string,
  options: RmiOptions & ContainersOfStore & { readonly anyRepository?: boolean | undefined },
): Promise<string | undefined> {
  const { removeImage } = await import('#puller/index.ts')
  return await unlessGone((options.force || options.ignore) && 'IMAGE_UNKNOWN', async () => {
    const { untagged, deleted } = await removeImage(store, image, options)
    const lines = untagged.map((name) => `Untagged: ${name}`)
    if (deleted !== undefined) lines.push(`Deleted: ${deleted}`)
    return lines.length === 0 ? undefined : lines.join('\n')
  })
}
