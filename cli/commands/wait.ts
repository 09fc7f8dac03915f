import { Command } from 'commander'
import { forEachName, openContainer, runnerContext } from '../containers.ts'
import { print } from '../output/print.ts'
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
  const containers = await Promise.all(
    references.map((reference) => openContainer(root, reference)),
  )
  let earlier: Promise<unknown> = Promise.resolve()
  await forEachName(
    containers.map(({ id }) => id),
    async (id) => {
      const container = containers.find((each) => each.id === id)
      if (container === undefined) return
      // All are waited for at once, and told of in the order of the names.
      const before = earlier
      const exit = waitForExit(root, container)
      earlier = Promise.allSettled([before, exit])
      await before
      print(String((await exit) ?? 'unknown'))
    },
  )
}
