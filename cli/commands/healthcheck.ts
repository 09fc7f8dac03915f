import { Command } from 'commander'
import { openContainer, runnerContext } from '../containers.ts'
import { print } from '../output/print.ts'
import { type StoreOptions, withExamples, withStoreOptions } from './options.ts'

export function healthcheckCommand(): Command {
  const command = new Command('healthcheck').description('Find out whether containers are well')
  command.addCommand(
    withExamples(
      withStoreOptions(
        new Command('run')
          .description('Check the health of a container now; ends with 0 when it is well, else 1')
          .argument('<container>', 'name or id'),
      ),
      [
        ['dray healthcheck run web', 'one check more than those at its interval'],
        ["dray inspect -f '{{json .State.Health}}' web", 'what the last checks said'],
      ],
    ).action(run),
  )
  // What a container's watch runs; not for people.
  command.addCommand(withStoreOptions(new Command('watch').argument('<id>')).action(watch), {
    hidden: true,
  })
  return command
}

async function run(reference: string, options: StoreOptions): Promise<void> {
  const { checkHealth } = await import('#runner/verbs/healthcheck.ts')
  const context = runnerContext(options)
  if (await checkHealth(await openContainer(context.root, reference), context)) return
  print('unhealthy')
  process.exitCode = 1
}

async function watch(id: string, options: StoreOptions): Promise<void> {
  const { checkAndWait } = await import('#runner/verbs/healthcheck.ts')
  print((await checkAndWait(id, runnerContext(options))) ?? '')
}
