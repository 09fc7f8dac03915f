import { Command, Option } from 'commander'
import { writeIdFile } from '../cidfile.ts'
import type { ContainerFlags } from '../container-flags.ts'
import { containerOptions, withContainerFlags } from '../container-options.ts'
import { runnerContext } from '../containers.ts'
import { print } from '../output/print.ts'
import { replaceNamed } from '../replace.ts'
import { type ImageOptions, withRootfs } from '../rootfs.ts'
import { withExamples, withImageOptions } from './options.ts'

export function createCommand(): Command {
  const command = new Command('create')
    .description('Make a container to be started later, and print its id')
    .argument(
      '<image>',
      '[registry/]name[:tag][@digest], pulled when it is not in the local store; or the id of one that is',
    )
    .argument('[command...]', 'command and arguments instead of those of the image')
    .passThroughOptions()
    .addOption(
      new Option('-a, --attach <stream>', 'nothing: start -a attaches to all streams')
        .hideHelp()
        .choices(['stdin', 'stdout', 'stderr', 'STDIN', 'STDOUT', 'STDERR']),
    )
  return withExamples(withImageOptions(withContainerFlags(command)), [
    ['dray create --name db -v /srv/db:/data db:1', 'then: dray start db'],
  ]).action(create)
}

async function create(
  image: string,
  command: readonly string[],
  options: ContainerFlags & ImageOptions,
): Promise<void> {
  const { createContainer } = await import('#runner/verbs/create.ts')
  const settings = await containerOptions(image, command, options)
  const context = runnerContext(options)
  const { id } = await withRootfs(image, options, async (rootfs) => {
    if (options.replace) await replaceNamed(context.root, settings)
    return await createContainer(rootfs, settings, context)
  })
  await writeIdFile(options.cidfile, id)
  print(id)
}
