import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { measureAll, measureEach } from '../disk-usage.ts'
import { formatSize } from '../output/format.ts'
import { print } from '../output/print.ts'
import { printRows } from '../output/rows.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface DfOptions extends StoreOptions {
  readonly format?: string
  readonly verbose?: true
}

/** `dray system df` */
export function dfCommand(): Command {
  const command = new Command('df')
    .description('Show what takes how much of the disk')
    .option('-v, --verbose', 'each image, container and volume')
    .option('--format <format>', 'table, json, or a Go template; with -v, table or json')
  return withExamples(withStoreOptions(command), [
    ["dray system df --format '{{.Type}}: {{.Reclaimable}}'", 'what could be freed'],
    ['dray system df -v', 'by what'],
  ]).action((options: DfOptions) => (options.verbose ? showEach(options) : showAll(options)))
}

async function showAll(options: DfOptions): Promise<void> {
  const usages = await measureAll(await openLocalStore(options), options)
  const rows = usages.map(({ type, total, active, size, reclaimable }) => ({
    Type: type,
    TotalCount: total,
    Active: active,
    Size: formatSize(size),
    Reclaimable: `${formatSize(reclaimable)} (${Math.round((100 * reclaimable) / (size || 1))}%)`,
  }))
  printRows(rows, {
    format: options.format,
    columns: [
      ['TYPE', 'Type'],
      ['TOTAL', 'TotalCount'],
      ['ACTIVE', 'Active'],
      ['SIZE', 'Size'],
      ['RECLAIMABLE', 'Reclaimable'],
    ],
  })
}

async function showEach(options: DfOptions): Promise<void> {
  const { format = 'table' } = options
  if (format !== 'table' && format !== 'json')
    throw new DrayError('USAGE', 'with -v, --format is table or json: write json, and use jq')
  const { images, containers, volumes } = await measureEach(await openLocalStore(options), options)
  if (format === 'json') {
    print(JSON.stringify({ Images: images, Containers: containers, Volumes: volumes }))
    return
  }
  print('Images:')
  printRows(
    images.map((image) => ({
      ...image,
      Name: image.Names.join(', ') || '<none>',
      Size: formatSize(image.Size),
      UniqueSize: formatSize(image.UniqueSize),
    })),
    {
      columns: [
        ['IMAGE', 'Name'],
        ['SIZE', 'Size'],
        ['UNIQUE', 'UniqueSize'],
        ['CONTAINERS', 'Containers'],
      ],
    },
  )
  print('\nContainers:')
  printRows(
    containers.map((container) => ({ ...container, Size: formatSize(container.Size) })),
    {
      columns: [
        ['CONTAINER', 'Name'],
        ['IMAGE', 'Image'],
        ['STATUS', 'State'],
        ['SIZE', 'Size'],
      ],
    },
  )
  print('\nVolumes:')
  printRows(
    volumes.map((volume) => ({ ...volume, Size: formatSize(volume.Size) })),
    {
      columns: [
        ['VOLUME', 'Name'],
        ['CONTAINERS', 'Links'],
        ['SIZE', 'Size'],
      ],
    },
  )
}
