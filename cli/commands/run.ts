import { Command, InvalidArgumentError } from 'commander'
import { DrayError, isDrayError } from '#oci/error.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { ContainerOptions } from '#runner/options.ts'
import { writeIdFile } from '../cidfile.ts'
import type { ContainerFlags } from '../container-flags.ts'
import { containerOptions, withContainerFlags } from '../container-options.ts'
import { runnerContext } from '../containers.ts'
import { containersOfStore } from '../image-users.ts'
import { openLocalStore } from '../store.ts'
import { checkForeground, lookOn } from '../foreground.ts'
import { unmountUnusedLayers } from '../layers.ts'
import { complain, print } from '../output/print.ts'
import { replaceNamed } from '../replace.ts'
import { type ImageOptions, withRootfs } from '../rootfs.ts'
import { sigProxyOption, withExamples, withImageOptions } from './options.ts'

interface RunOptions extends ContainerFlags, ImageOptions {
  readonly detach?: true
  readonly detachKeys?: string
  readonly attach: readonly string[]
  readonly sigProxy: boolean
  readonly rmi?: true
}

export function runCommand(): Command {
  const command = new Command('run')
    .description('Run a command in a new container')
    .argument(
      '<image>',
      '[registry/]name[:tag][@digest], pulled when it is not in the local store; or the id of one that is',
    )
    .argument('[command...]', 'command and arguments instead of those of the image')
    .passThroughOptions()
    .option('-d, --detach', 'in the background; print its id')
    .option('--detach-keys <keys>', 'keys that detach from it (default: ctrl-p,ctrl-q)')
    .option(
      '-a, --attach <stream>',
      'stdin, stdout or stderr: be connected to these alone (repeatable)',
      stream,
      [],
    )
    .option('--rmi', 'remove it when it has ended, and its image, unless others use that')
    .addOption(sigProxyOption())
  return withExamples(withImageOptions(withContainerFlags(command)), [
    ['dray run --rm -it debian:12', 'a shell, of which nothing is left afterwards'],
    ['dray run -d --name web -v /srv/www:/www:ro web:1', 'a service; see dray logs web'],
    ['dray run --rm --memory 512m --cpus 1.5 app:1 job', 'a job with limits'],
  ]).action(run)
}

async function run(image: string, command: readonly string[], given: RunOptions): Promise<void> {
  const options = given.rmi ? ({ ...given, rm: true } as const) : given
  const settings = await containerOptions(image, command, options)
  if (options.detach && options.detachKeys !== undefined) {
    throw new DrayError('USAGE', '--detach-keys is for containers in the foreground')
  }
  if (options.detach && options.rmi) {
    throw new DrayError('USAGE', '--rmi is for containers in the foreground: leave out -d')
  }
  if (options.detach && options.attach.length > 0) {
    throw new DrayError('USAGE', '-d and -a exclude each other: leave out one')
  }
  if (!options.detach) await checkForeground(options, options.tty === true)
  const { checkOfRecord } = await import('#runner/health/check.ts')
  await withRootfs(image, options, async (rootfs) => {
    if (options.replace) await replaceNamed(runnerContext(options).root, settings)
    if (options.detach) return await runInBackground(rootfs, settings, options)
    const isChecked = checkOfRecord({ rootfs, options: settings }) !== undefined
    const isTimed = options.timeout !== undefined
    const isPlain = options.attach.length === 0 && options.sigProxy && !isTimed
    const runIt = options.rm && isPlain && !isChecked ? runAndRemove : runAndLookOn
    await runIt(rootfs, settings, options)
  })
  if (options.rmi) await removeUnused(image, options)
}

/** Without a word where another container or name keeps it. */
async function removeUnused(image: string, options: RunOptions): Promise<void> {
  const { removeGarbage, removeImage } = await import('#puller/index.ts')
  const store = await openLocalStore(options)
  const containers = containersOfStore(options)
  try {
    await removeImage(store, image, containers)
    await removeGarbage(store, containers.dirsInUse)
  } catch (error) {
    if (!isDrayError(error)) throw error
    complain(`its image stays: ${error.message}`)
  }
}

async function runAndLookOn(
  rootfs: Rootfs,
  settings: ContainerOptions,
  options: RunOptions,
): Promise<void> {
  const { createContainer } = await import('#runner/verbs/create.ts')
  const { startInForeground } = await import('#runner/verbs/foreground.ts')
  const context = runnerContext(options)
  const container = await createContainer(rootfs, settings, context, { isToStart: true })
  await writeIdFile(options.cidfile, container.id)
  await lookOn(container, { ...options, streams: options.attach }, (streams) =>
    startInForeground(container, context, streams, { passSignals: options.sigProxy }),
  )
}

async function runInBackground(
  rootfs: Rootfs,
  settings: ContainerOptions,
  options: RunOptions,
): Promise<void> {
  const { createContainer } = await import('#runner/verbs/create.ts')
  const { startContainer } = await import('#runner/verbs/start.ts')
  const context = runnerContext(options)
  const container = await createContainer(rootfs, settings, context, { isToStart: true })
  await writeIdFile(options.cidfile, container.id)
  await startContainer(container, context)
  print(container.id)
}

/** Without a monitor, which its streams one by one and checks of its health would need: this process sees the container end, and removes it. */
async function runAndRemove(
  rootfs: Rootfs,
  settings: ContainerOptions,
  options: RunOptions,
): Promise<void> {
  const { runContainer } = await import('#runner/index.ts')
  const context = runnerContext(options)
  try {
    const { exitCode } = await runContainer(rootfs, settings, {
      ...context,
      onCreated: (id) => writeIdFile(options.cidfile, id),
    })
    process.exitCode = exitCode
  } finally {
    await unmountUnusedLayers(context.root)
  }
}

function stream(text: string, before: readonly string[]): readonly string[] {
  const name = text.toLowerCase()
  if (['stdin', 'stdout', 'stderr'].includes(name)) return [...before, name]
  throw new InvalidArgumentError('write stdin, stdout or stderr')
}
