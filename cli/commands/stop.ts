import { Command } from 'commander'
import { type Chosen, forEachContainer, namedOrAll, runnerContext } from '../containers.ts'
import {
  seconds,
  type StoreOptions,
  withExamples,
  withIdFiles,
  withStoreOptions,
} from './options.ts'

interface StopOptions extends StoreOptions, Chosen {
  readonly time?: number
  readonly signal?: string
}

export function stopCommand(): Command {
  const command = new Command('stop')
    .description('Stop containers: ask their first process to end, and kill it when it does not')
    .argument('[container...]', 'names or ids')
    .option('-a, --all', 'all that run')
    .option('-i, --ignore', 'those that are not there are no error')
    .option(
      '-t, --time <seconds>',
      'how long to wait before it is killed; -1 for ever (default: 10)',
      seconds,
    )
    .option('-s, --signal <signal>', 'what to ask with (default: that of the container, else TERM)')
  return withExamples(withStoreOptions(withIdFiles(command)), [
    ['dray stop web', 'give it 10 seconds'],
    ['dray stop -t 60 db cache', 'two at once, with a minute'],
  ]).action(stop)
}

async function stop(references: readonly string[], options: StopOptions): Promise<void> {
  const { stopContainer } = await import('#runner/verbs/stop.ts')
  const { root } = runnerContext(options)
  const { time, signal } = options
  const names = await namedOrAll(root, references, options, 'that run')
  await forEachContainer(root, names, (container) =>
    stopContainer(root, container, { timeoutSeconds: time, signal }),
  )
}
