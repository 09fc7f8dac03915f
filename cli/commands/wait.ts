import { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { Container } from '#runner/containers/state.ts'
import type { Condition } from '#runner/verbs/wait.ts'
import { forEachName, openContainer, runnerContext } from '../containers.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface WaitFlags extends StoreOptions {
  readonly condition: readonly string[]
}

export function waitCommand(): Command {
  const command = new Command('wait')
    .description('Wait until containers end, and print their exit codes')
    .argument('<container...>', 'names or ids')
    .option(
      '--condition <condition>',
      'wait for another state: created, running, paused, stopped, exited, healthy, unhealthy; -1 for an exit code (repeatable)',
      collect,
      [],
    )
    .addOption(
      new Option('-i, --interval <time>', 'nothing: ends are seen as they come').hideHelp(),
    )
  return withExamples(withStoreOptions(command), [
    ['dray wait job', "prints 0, or what the job ended with; 'unknown' when nobody saw it"],
    ['dray wait --condition healthy db && dray start app', 'one after the other'],
  ]).action(wait)
}

async function wait(references: readonly string[], flags: WaitFlags): Promise<void> {
  const { root } = runnerContext(flags)
  const conditions = await conditionsOf(flags)
  await forEachName(references, async (reference) => {
    return await waitFor(root, await openContainer(root, reference), conditions)
  })
}

/** @returns what is printed: the exit code, or -1 for a container that hasn't ended, as podman has it */
async function waitFor(
  root: string,
  container: Container,
  conditions: readonly Condition[],
): Promise<string> {
  const { waitForCondition, waitForExit } = await import('#runner/verbs/wait.ts')
  if (conditions.length === 0) {
    return String((await waitForExit(root, container)) ?? 'unknown')
  }
  const { status, exitCode = 'unknown' } = await waitForCondition(root, container, conditions)
  return status === 'exited' ? String(exitCode) : '-1'
}

async function conditionsOf({ condition }: WaitFlags): Promise<readonly Condition[]> {
  const { CONDITION_NAMES } = await import('#runner/verbs/wait.ts')
  return condition
    .flatMap((text) => text.split(','))
    .map((text) => {
      const found = CONDITION_NAMES.find((name) => name === text)
      if (found !== undefined) return found
      const message = `nothing is ever ${JSON.stringify(text)}: write ${CONDITION_NAMES.join(', ')}`
      throw new DrayError('USAGE', message)
    })
}
