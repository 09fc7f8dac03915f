import { Command, Option } from 'commander'
import type { ImageSummary } from '#puller/index.ts'
import { refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { filterImages } from '../image-filter.ts'
import { formatSince, formatSize, shortDigest } from '../output/format.ts'
import { print } from '../output/print.ts'
import { printRows, type Row } from '../output/rows.ts'
import { openLocalStore } from '../store.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ImagesOptions extends StoreOptions {
  readonly format: string
  readonly all?: true
  readonly quiet?: true
  readonly digests?: true
  readonly trunc: boolean
  readonly noheading?: true
  readonly sort?: keyof typeof ORDERS
  readonly filter: readonly string[]
}

const byText = (a = '', b = '') => Number(a > b) - Number(a < b)

/** Podman's words. */
const ORDERS = {
  created: (a: ImageSummary, b: ImageSummary) => byText(b.created, a.created),
  id: (a: ImageSummary, b: ImageSummary) => byText(a.digest, b.digest),
  repository: (a: ImageSummary, b: ImageSummary) => byText(a.name, b.name),
  size: (a: ImageSummary, b: ImageSummary) => a.size - b.size,
  tag: (a: ImageSummary, b: ImageSummary) => byText(partsOf(a.name).tag, partsOf(b.name).tag),
} as const

export function imagesCommand(): Command {
  const command = new Command('images')
    .description('List the images of the local store')
    .argument('[name]', 'only those of a repository, or with a tag; may have * in it')
    .option('-q, --quiet', 'print digests only')
    .option('--digests', 'print digests whole')
    .option('--no-trunc', 'the same')
    .option(
      '-f, --filter <key=value>',
      'dangling=true (images without a name), reference=PATTERN, label=K[=V], before=IMAGE, since=IMAGE, until=TIME (repeatable)',
      collect,
      [],
    )
    .option('--format <format>', 'table, json (one object a line), or a Go template', 'table')
    .option('-n, --noheading', 'a table without its first line')
    .addOption(
      new Option('--sort <by>', 'the order; created: the latest first (default: by name)').choices(
        Object.keys(ORDERS),
      ),
    )
    .option('-a, --all', 'also signatures, SBOMs and other artifacts of those images')
  withFlagsOfOthers(
    command,
    refused('--tree', 'the column PLATFORM has all platforms that are here'),
    refused('--history', 'dray history IMAGE shows the steps that it was made by'),
  )
  return withExamples(withStoreOptions(command), [
    ['dray images registry.example/team/app', 'all tags of one repository'],
    ["dray images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", 'a line each'],
    ['dray rmi $(dray images -q -f dangling=true)', 'those that lost their names'],
    ['dray images -f label=team=web -f until=720h', 'made with a label, more than 30 days ago'],
  ]).action(images)
}

async function images(name: string | undefined, options: ImagesOptions): Promise<void> {
  const { describeImage, listImages } = await import('#puller/index.ts')
  const filters = [...options.filter, ...(name === undefined ? [] : [`reference=${name}`])]
  const store = await openLocalStore(options)
  const local = await listImages(store)
  const shown = local.filter(({ isAttached }) => options.all || !isAttached)
  const findCreated = async (image: string) => (await describeImage(store, image)).Created
  const found = await filterImages(shown, filters, findCreated)
  const list = options.sort === undefined ? found : found.toSorted(ORDERS[options.sort])
  if (options.quiet) {
    for (const digest of new Set(list.map(({ digest }) => digest))) print(digest)
  } else if (options.format === 'json') {
    for (const image of list) print(JSON.stringify(image))
  } else {
    printRows(
      list.map((image) =>
        rowOf(image, { whole: options.digests === true || !options.trunc, now: Date.now() }),
      ),
      {
        format: options.format,
        heading: options.noheading !== true,
        columns: [
          ['IMAGE', 'Name'],
          ['DIGEST', 'ID'],
          ['PLATFORM', 'Platforms'],
          ['CREATED', 'CreatedSince'],
          ['SIZE', 'Size'],
        ],
      },
    )
  }
}

function rowOf(
  { name, digest, platforms, size, created }: ImageSummary,
  { whole, now }: { readonly whole: boolean; readonly now: number },
): Row {
  const { repository = '<none>', tag = '<none>' } = partsOf(name)
  return {
    Name: name ?? '<none>',
    Repository: repository,
    Tag: tag,
    ID: whole ? digest : shortDigest(digest),
    Digest: digest,
    Platforms: platforms.join(','),
    CreatedAt: created ?? '',
    CreatedSince: formatSince(created, now),
    Size: formatSize(size),
  }
}

function partsOf(name: string | undefined): {
  readonly repository?: string
  readonly tag?: string
} {
  if (name === undefined) return {}
  const at = name.indexOf('@')
  const colon = name.lastIndexOf(':')
  if (at >= 0 || colon <= name.lastIndexOf('/')) return { repository: name.slice(0, at) }
  return { repository: name.slice(0, colon), tag: name.slice(colon + 1) }
}
