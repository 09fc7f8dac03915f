import { Command, Option } from 'commander'
import { byLabel, filterBy, isDangling } from '#runner/filters.ts'
import { forEachName, runnerContext, unlessGone } from '../containers.ts'
import { inspectEach } from '../inspect-each.ts'
import { keyValues } from '../key-values.ts'
import { confirm } from '../output/confirm.ts'
import { complain, print } from '../output/print.ts'
import { labelIn, printRows } from '../output/rows.ts'
import { passing } from '../prune.ts'
import { existsCommand } from './exists.ts'
import {
  collect,
  type StoreOptions,
  withExamples,
  withPruneFilter,
  withStoreOptions,
} from './options.ts'

interface PruneOptions extends StoreOptions {
  readonly all?: true
  readonly force?: true
  readonly filter: readonly string[]
}

export function volumeCommand(): Command {
  const command = new Command('volume').description('Make, list and remove volumes')
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('create')
          .description('Make a volume, and print its name')
          .argument('[name]', 'default: one that is made up')
          .addOption(new Option('-d, --driver <driver>', 'local').choices(['local']))
          .option('-l, --label <K=V>', 'label (repeatable)', collect, []),
      ),
      [['dray volume create db', 'then: dray run -v db:/var/lib/db ...']],
    ).action(create),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('ls')
          .alias('list')
          .description('List volumes')
          .option('-q, --quiet', 'print names only')
          .option('-f, --filter <key=value>', 'name, label, dangling (repeatable)', collect, [])
          .option('--format <format>', 'table, json, or a Go template'),
      ),
      [['dray volume ls -q --filter dangling=true', 'names of those that no container has']],
    ).action(list),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('inspect')
          .description('Show all that is known of volumes')
          .argument('<volume...>', 'names')
          .option('-f, --format <template>', 'a Go template over each'),
      ),
      [["dray volume inspect -f '{{.Mountpoint}}' db", 'where it is on the host']],
    ).action(inspect),
  )
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('rm')
          .alias('remove')
          .description('Remove volumes, and what is in them')
          .argument('<volume...>', 'names')
          .option('-f, --force', 'those that are not there are no error'),
      ),
      [['dray volume rm db', 'when no container has it any more']],
    ).action(remove),
  )
  command.addCommand(
    withExamples(
      withPruneFilter(
        withStoreOptions(
          new Command('prune')
            .description('Remove volumes that no container has')
            .option('-a, --all', 'also those that were given a name')
            .option('-f, --force', 'without asking'),
        ),
        { until: false },
      ),
      [['dray volume prune -af', 'all that no container has, with what is in them']],
    ).action(prune),
  )
  command.addCommand(
    existsCommand({
      kind: 'volume',
      called: 'name',
      example: 'dray volume exists db || dray volume create db',
      unknown: 'VOLUME_UNKNOWN',
      find: async (name, options) => {
        const { findVolume } = await import('#runner/volumes/store.ts')
        return await findVolume(runnerContext(options).root, name)
      },
    }),
  )
  return command
}

async function create(
  name: string | undefined,
  options: StoreOptions & { readonly label: readonly string[] },
): Promise<void> {
  const { makeVolume } = await import('#runner/volumes/store.ts')
  const { root } = runnerContext(options)
  print((await makeVolume(root, name, { labels: keyValues('label', options.label) })).name)
}

interface ListOptions extends StoreOptions {
  readonly quiet?: true
  readonly filter: readonly string[]
  readonly format?: string
}

async function list(options: ListOptions): Promise<void> {
  const { listVolumes, volumesInUse } = await import('#runner/volumes/store.ts')
  const { root } = runnerContext(options)
  const asksForUse = options.filter.some((filter) => filter.startsWith('dangling='))
  const used = asksForUse ? await volumesInUse(root) : new Map<string, string[]>()
  const volumes = filterBy(await listVolumes(root), options.filter, {
    name: (value) => (volume) => volume.name.includes(value),
    label: byLabel(({ labels }) => labels),
    dangling(value) {
      const wanted = isDangling(value)
      return (volume) => used.has(volume.name) !== wanted
    },
  })
  const rows = volumes.map((each) => ({ ...facts(each), Label: labelIn(each.labels) }))
  printRows(rows, {
    format: options.quiet ? '{{.Name}}' : options.format,
    columns: [
      ['VOLUME NAME', 'Name'],
      ['CREATED', 'CreatedAt'],
    ],
  })
}

async function inspect(
  names: readonly string[],
  options: StoreOptions & { readonly format?: string },
): Promise<void> {
  const { findVolume } = await import('#runner/volumes/store.ts')
  const { root } = runnerContext(options)
  await inspectEach(names, options.format, async (name) => facts(await findVolume(root, name)))
}

async function remove(
  names: readonly string[],
  options: StoreOptions & { readonly force?: true },
): Promise<void> {
  const { removeVolume } = await import('#runner/volumes/store.ts')
  const { root } = runnerContext(options)
  await forEachName(names, async (name) => {
    return await unlessGone(options.force && 'VOLUME_UNKNOWN', async () => {
      await removeVolume(root, name)
      return name
    })
  })
}

async function prune(options: PruneOptions): Promise<void> {
  const which = options.all ? 'all volumes' : 'all volumes with made-up names'
  const what = `This removes ${which} that no container has${passing(options)}.`
  if (!(await confirm(what, options.force))) return
  const { pruneVolumes } = await import('#runner/verbs/prune.ts')
  const { root } = runnerContext(options)
  const { all, filter: filters } = options
  const removed = await pruneVolumes(root, complain, { all, filters })
  for (const name of removed) print(name)
}

function facts(volume: {
  readonly name: string
  readonly mountpoint: string
  readonly createdAt: string
  readonly labels: Readonly<Record<string, string>>
  readonly isAnonymous: boolean
}) {
  return {
    Name: volume.name,
    Driver: 'local',
    Mountpoint: volume.mountpoint,
    CreatedAt: volume.createdAt,
    Labels: volume.labels,
    Anonymous: volume.isAnonymous,
  }
}
