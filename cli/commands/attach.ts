import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { lookOn } from '../foreground.ts'
import { sigProxyOption, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface AttachOptions extends StoreOptions {
  readonly detachKeys?: string
  readonly stdin: boolean
  readonly sigProxy: boolean
}

export function attachCommand(): Command {
  const command = new Command('attach')
    .description(
      'Show the output of a container that runs, and hand it input, until it ends, with its exit code',
    )
    .argument('<container>', 'name or id')
    .option('--detach-keys <keys>', 'keys that detach from it (default: ctrl-p,ctrl-q)')
    .option('--no-stdin', 'leave standard input alone')
    .addOption(sigProxyOption())
  return withExamples(withStoreOptions(command), [
    ['dray attach shell', 'Ctrl-P Ctrl-Q leaves it running'],
    ['dray attach --no-stdin web', 'only look'],
  ]).action(attach)
}

async function attach(reference: string, options: AttachOptions): Promise<void> {
  const { attachInForeground } = await import('#runner/verbs/foreground.ts')
  const { requireRunning } = await import('#runner/verbs/kill.ts')
  const context = runnerContext(options)
  const container = await openContainer(context.root, reference)
  requireRunning(container)
  const interactive = options.stdin && container.record.options.interactive === true
  await lookOn(container, { ...options, interactive }, (streams) =>
    attachInForeground(container, context, streams, { passSignals: options.sigProxy }),
  )
}
