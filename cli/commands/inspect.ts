import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { forEachName } from '../containers.ts'
import { print } from '../output/print.ts'
import { fillTemplate } from '../output/template.ts'
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
  const found: unknown[] = []
  await forEachName(references, async (reference) => {
    found.push(describeContainer(await openContainer(root, reference)))
  })
  const { format } = options
  if (format === undefined || format === 'json') print(JSON.stringify(found, undefined, 2))
  else for (const facts of found) print(fillTemplate(format, facts))
}
