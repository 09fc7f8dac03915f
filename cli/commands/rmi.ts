import { Command } from 'commander'
import type { Store } from '#puller/index.ts'
import { forEachName, unlessGone } from '../containers.ts'
import { type ContainersOfStore, containersOfStore } from '../image-users.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface RmiOptions extends StoreOptions {
  readonly force?: true
}

export function rmiCommand(): Command {
  const command = new Command('rmi')
    .description('Remove images from the local store, and at once what no other image needs')
    .argument(
      '<image...>',
      'names take just the name away; digests and ids, or their first digits, all',
    )
    .option(
      '-f, --force',
      'also what containers use (they keep their layers); no error for images that are not there',
    )
  return withExamples(withStoreOptions(command), [
    ['dray rmi app:1.2', 'the name, and the image if it has no other'],
    ['dray rmi 3f2a91c04b7e', 'an image with all its names in one repository'],
    ['dray rmi $(dray images -q)', 'all of them'],
  ]).action(rmi)
}

async function rmi(images: readonly string[], options: RmiOptions): Promise<void> {
  const { removeGarbage } = await import('#puller/index.ts')
  const store = await openLocalStore(options)
  const containers = containersOfStore(options)
  await forEachName(images, (image) => removeOne(store, image, { ...options, ...containers }))
  await removeGarbage(store, containers.dirsInUse)
}

async function removeOne(
  store: Store,
  image: string,
  options: RmiOptions & ContainersOfStore,
): Promise<string | undefined> {
  const { removeImage } = await import('#puller/index.ts')
  return await unlessGone(options.force && 'IMAGE_UNKNOWN', async () => {
    const { untagged, deleted } = await removeImage(store, image, options)
    const lines = untagged.map((name) => `Untagged: ${name}`)
    if (deleted !== undefined) lines.push(`Deleted: ${deleted}`)
    return lines.length === 0 ? undefined : lines.join('\n')
  })
}
