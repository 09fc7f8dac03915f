import { Command, Option } from 'commander'
import { DrayError, isDrayError } from '#oci/error.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { refused, withFlagsOfOthers } from '../flags-of-others.ts'
import { inspectEach } from '../inspect-each.ts'
import { openLocalStore } from '../store.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface InspectOptions extends StoreOptions {
  readonly format?: string
  readonly type?: 'container' | 'image'
  readonly size?: true
}

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description('Show all that is known of containers and images')
    .argument('<thing...>', 'names or ids of containers, or else names, digests or ids of images')
    .option('-f, --format <template>', 'a Go template over each; default: a JSON list')
    .option(
      '-s, --size',
      'also what containers wrote beside their volumes, and all of their files, in bytes on the disk: SizeRw, SizeRootFs',
    )
    .addOption(
      new Option('-t, --type <type>', 'look for these only').choices(['container', 'image']),
    )
  withFlagsOfOthers(command, refused('-l, --latest', 'dray inspect $(dray ps -lq)'))
  return withExamples(withStoreOptions(command), [
    ['dray inspect web', 'everything, as JSON'],
    ["dray inspect -f '{{.State.Status}} {{.State.ExitCode}}' job", 'two facts'],
    ["dray inspect --type image -f '{{json .Config.Cmd}}' app:1.2", 'what an image runs'],
  ]).action(inspect)
}

/** `dray image inspect` */
export function imageInspectCommand(): Command {
  const command = new Command('inspect')
    .description('Show all that is known of images')
    .argument('<image...>', 'names, digests or ids')
    .option('-f, --format <template>', 'a Go template over each; default: a JSON list')
  return withExamples(withStoreOptions(command), [
    ['dray image inspect app:1.2', 'the same as dray inspect --type image'],
  ]).action((names: readonly string[], options: InspectOptions) =>
    inspect(names, { ...options, type: 'image' }),
  )
}

async function inspect(names: readonly string[], options: InspectOptions): Promise<void> {
  const context = runnerContext(options)
  const { root } = context
  await inspectEach(names, options.format, async (name) => {
    if (options.type === 'image') return await describeImageOf(name, options)
    try {
      const { describeContainer } = await import('#runner/verbs/inspect.ts')
      const container = await openContainer(root, name)
      if (!options.size) return describeContainer(container)
      const { sizeOfRootfs, sizeWritten } = await import('#runner/disk-usage.ts')
      return {
        ...describeContainer(container),
        SizeRw: await sizeWritten(container),
        SizeRootFs: await sizeOfRootfs(container, context),
      }
    } catch (error) {
      if (options.type === 'container' || !isDrayError(error, 'CONTAINER_UNKNOWN')) throw error
      return await describeOther(name, options)
    }
  })
}

async function describeOther(name: string, options: InspectOptions): Promise<unknown> {
  try {
    return await describeImageOf(name, options)
  } catch (cause) {
    if (!isDrayError(cause, 'IMAGE_UNKNOWN')) throw cause
    const message = `no container is called ${JSON.stringify(name)}, nor an image: dray ps -a and dray images list them`
    throw new DrayError('IMAGE_UNKNOWN', message, { cause })
  }
}

async function describeImageOf(name: string, options: InspectOptions): Promise<unknown> {
  const { describeImage } = await import('#puller/index.ts')
  return await describeImage(await openLocalStore(options), name)
}
