import { Command } from 'commander'
import { type Chosen, forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import {
  seconds,
  type StoreOptions,
  withExamples,
  withIdFiles,
  withStoreOptions,
} from './options.ts'

interface RestartOptions extends StoreOptions, Chosen {
  readonly time?: number
  readonly signal?: string
}

export function restartCommand(): Command {
  const command = new Command('restart')
    .description('Stop containers and start them again')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that run')
    .option(
      '-t, --time <seconds>',
      'how long to wait before it is killed; -1 for ever (default: 10)',
      seconds,
    )
    .option('-s, --signal <signal>', 'what to ask with (default: that of the container, else TERM)')
  return withExamples(withStoreOptions(withIdFiles(command)), [
    ['dray restart web', 'with what it wrote, and the same name'],
  ]).action(restart)
}

async function restart(references: readonly string[], options: RestartOptions): Promise<void> {
  const { restartContainer } = await import('#runner/verbs/restart.ts')
  const context = runnerContext(options)
  const { time, signal } = options
  const names = await namedOrAll(context.root, references, options, 'that run')
  await forEachContainer(context.root, names, (container) =>
    restartContainer(container, context, { timeoutSeconds: time, signal }),
  )
}
