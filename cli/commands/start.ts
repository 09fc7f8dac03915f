import { Command } from 'commander'
import { forEachContainer, openContainer, runnerContext } from '../containers.ts'
import { DrayError } from '#oci/error.ts'
import { lookOn } from '../foreground.ts'
import { sigProxyOption, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface StartOptions extends StoreOptions {
  readonly attach?: true
  readonly interactive?: true
  readonly detachKeys?: string
  readonly sigProxy: boolean
}

export function startCommand(): Command {
  const command = new Command('start')
    .description('Start containers that were created, or that have ended')
    .argument('<container...>', 'names or ids')
    .option('-a, --attach', 'attach to it until it ends, with its exit code (one container)')
    .option('-i, --interactive', 'hand standard input on, too')
    .option('--detach-keys <keys>', 'keys that detach from it (default: ctrl-p,ctrl-q)')
    .addOption(sigProxyOption())
  return withExamples(withStoreOptions(command), [
    ['dray start web', 'in the background'],
    ['dray start -ai shell', 'in the foreground, with the terminal'],
  ]).action(start)
}

async function start(references: readonly string[], options: StartOptions): Promise<void> {
  const { startContainer } = await import('#runner/verbs/start.ts')
  const context = runnerContext(options)
  if (!options.attach && !options.interactive) {
    // In their order: one may share what another has.
    for (const reference of references) {
      await forEachContainer(context.root, [reference], async (container) => {
        await startContainer(container, context)
      })
    }
    return
  }
  const [reference, ...others] = references
  if (reference === undefined || others.length > 0) {
    throw new DrayError('USAGE', 'one container at a time can be looked on at')
  }
  const { startInForeground } = await import('#runner/verbs/foreground.ts')
  const container = await openContainer(context.root, reference)
  await lookOn(container, options, (streams) =>
    startInForeground(container, context, streams, { passSignals: options.sigProxy }),
  )
}
