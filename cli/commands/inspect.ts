import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { inspectEach } from '../inspect-each.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface InspectOptions extends StoreOptions {
  readonly format?: string
}

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description('Show all that is known of containers')
    .argument('<container...>', 'names or ids')
    .option('-f, --format <template>', 'a Go template over each; default: a JSON list')
  return withExamples(withStoreOptions(command), [
    ['dray inspect web', 'everything, as JSON'],
    ["dray inspect -f '{{.State.Status}} {{.State.ExitCode}}' job", 'two facts'],
  ]).action(inspect)
}

async function inspect(references: readonly string[], options: InspectOptions): Promise<void> {
  const { describeContainer } = await import('#runner/verbs/inspect.ts')
  const { root } = runnerContext(options)
  await inspectEach(references, options.format, async (reference) =>
    describeContainer(await openContainer(root, reference)),
  )
}
