import { Command } from 'commander'
import { forEachContainer, runnerContext } from '../containers.ts'
import { seconds, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface RestartOptions extends StoreOptions {
  readonly time?: number
}

export function restartCommand(): Command {
  const command = new Command('restart')
    .description('Stop containers and start them again')
    .argument('<container...>', 'names or ids')
    .option(
      '-t, --time <seconds>',
      'how long to wait before it is killed; -1 for ever (default: 10)',
      seconds,
    )
  return withExamples(withStoreOptions(command), [
    ['dray restart web', 'with what it wrote, and the same name'],
  ]).action(restart)
}

async function restart(references: readonly string[], options: RestartOptions): Promise<void> {
  const { restartContainer } = await import('#runner/verbs/restart.ts')
  const context = runnerContext(options)
  await forEachContainer(context.root, references, (container) =>
    restartContainer(container, context, { timeoutSeconds: options.time }),
  )
}
