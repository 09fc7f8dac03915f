import { Command } from 'commander'
import { formatSize, formatTable, shortDigest } from '../output/format.ts'
import { print } from '../output/print.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withStoreOptions } from './options.ts'

interface ImagesOptions extends StoreOptions {
  readonly format: 'table' | 'json'
  readonly quiet?: true
  readonly digests?: true
}

export function imagesCommand(): Command {
  const command = new Command('images')
    .description('List the images of the local store')
    .option('-q, --quiet', 'print digests only')
    .option('--digests', 'print digests whole')
    .option('--format <format>', 'table or json (one object a line)', 'table')
  return withStoreOptions(command).action(images)
}

async function images(options: ImagesOptions): Promise<void> {
  const { listImages } = await import('#puller/index.ts')
  const list = await listImages(await openLocalStore(options))
  if (options.format === 'json') {
    for (const image of list) print(JSON.stringify(image))
    return
  }
  if (options.quiet) {
    for (const digest of new Set(list.map(({ digest }) => digest))) print(digest)
    return
  }
  const rows = list.map(({ name, digest, platforms, size }) => [
    name ?? '<none>',
    options.digests ? digest : shortDigest(digest),
    platforms.join(','),
    formatSize(size),
  ])
  print(formatTable([['IMAGE', 'DIGEST', 'PLATFORM', 'SIZE'], ...rows]))
}
