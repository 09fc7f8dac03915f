import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { print } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function topCommand(): Command {
  const command = new Command('top')
    .description('Show the processes of a container, by the process ids of the host')
    .argument('<container>', 'name or id')
    .argument('[ps options...]', 'of ps(1); default: -ef')
    .passThroughOptions()
  return withExamples(withStoreOptions(command), [
    ['dray top web', 'as ps -ef shows them'],
    ['dray top web -o pid,rss,args', 'with columns of your own'],
  ]).action(top)
}

async function top(
  reference: string,
  psOptions: readonly string[],
  options: StoreOptions,
): Promise<void> {
  const { containerProcesses } = await import('#runner/verbs/top.ts')
  const { root } = runnerContext(options)
  const lines = await containerProcesses(await openContainer(root, reference), psOptions)
  print(lines.join('\n'))
}
