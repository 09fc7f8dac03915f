import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import { parseReference } from '#oci/reference.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { interruptible } from '../interrupt.ts'
import { print } from '../output/print.ts'
import { openLocalStore } from '../store.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface CommitOptions extends StoreOptions {
  readonly author?: string
  readonly message?: string
  readonly change: readonly string[]
  readonly pause: boolean
}

export function commitCommand(): Command {
  const command = new Command('commit')
    .description('Make an image of a container: its own image, and what it changed')
    .argument('<container>', 'name or id')
    .argument('<image>', '[registry/]name[:tag]')
    .option('-a, --author <name>', 'who made it')
    .option('-m, --message <text>', 'what was changed')
    .option(
      '-c, --change <line>',
      'line of a Dockerfile, such as CMD, ENV or USER (repeatable)',
      collect,
      [],
    )
    .option(
      '-p, --pause',
      'let nothing in the container run meanwhile; --pause=false lets it',
      true,
    )
    .option('-q, --quiet', 'print the digest only, as it does anyway')
    .option('--no-pause', 'let the container write meanwhile')
  return withExamples(withStoreOptions(command), [
    ['dray commit web web:2', 'its volumes are no part of it'],
    [
      `dray commit -c 'CMD ["nginx"]' -c 'ENV DEBUG=1' -m 'with debug' web web:debug`,
      'and how it runs',
    ],
  ]).action(commit)
}

async function commit(reference: string, image: string, options: CommitOptions): Promise<void> {
  const { applyChange, committedConfig, noChanges, whilePaused } = await import(
    '#runner/verbs/commit.ts'
  )
  const { commitImage } = await import('#puller/index.ts')
  const target = parseReference(image)
  if (target.digest !== undefined)
    throw new DrayError('USAGE', 'name the image by a tag: its digest comes of its content')
  const container = await openContainer(runnerContext(options).root, reference)
  const { rootfs } = container.record
  const execution = options.change.reduce(applyChange, committedConfig(container))
  const store = await openLocalStore(options)
  const make = () =>
    interruptible((signal) =>
      commitImage(store, {
        ...{ base: rootfs.manifestDigest, config: rootfs.config, execution, signal },
        ...{ upper: container.paths.upper, leaveOut: noChanges(container), reference: target },
        ...{ author: options.author, comment: options.message, created: new Date().toISOString() },
      }),
    )
  print(await (options.pause ? whilePaused(container, make) : make()))
}
