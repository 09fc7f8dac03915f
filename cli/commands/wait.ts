import { Command } from 'commander'
import { forEachName, openContainer, runnerContext } from '../containers.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function waitCommand(): Command {
  const command = new Command('wait')
    .description('Wait until containers end, and print their exit codes')
    .argument('<container...>', 'names or ids')
  return withExamples(withStoreOptions(command), [
    ['dray wait job', "prints 0, or what the job ended with; 'unknown' when nobody saw it"],
  ]).action(wait)
}

async function wait(references: readonly string[], options: StoreOptions): Promise<void> {
  const { waitForExit } = await import('#runner/verbs/wait.ts')
  const { root } = runnerContext(options)
  await forEachName(references, async (reference) => {
    const exit = await waitForExit(root, await openContainer(root, reference))
    return String(exit ?? 'unknown')
  })
}
