import { Command } from 'commander'
import { parseReference } from '#oci/reference.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function tagCommand(): Command {
  const command = new Command('tag')
    .description('Give an image of the local store one more name')
    .argument('<image>', 'its name, digest or id, or the first digits of one')
    .argument('<name>', '[registry/]name[:tag]')
  return withExamples(withStoreOptions(command), [
    ['dray tag app:1.2 registry.example/team/app:1.2', 'then: dray push ...'],
    ['dray tag 3f2a91c04b7e app:rescued', 'one that lost its name'],
  ]).action(tag)
}

async function tag(image: string, name: string, options: StoreOptions): Promise<void> {
  const { tagImage } = await import('#puller/index.ts')
  const target = parseReference(name)
  await tagImage(await openLocalStore(options), image, target)
}
