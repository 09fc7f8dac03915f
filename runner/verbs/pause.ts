import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DrayError, errorMessage } from '#oci/error.ts'
import { readCgroups } from '../cgroup.ts'
import { type Container, readState } from '../containers/state.ts'
import { recordEvent } from '../events/record.ts'
import { rootOf } from '../layout.ts'
import { pauseArguments, resumeArguments } from '../runtime.ts'
import { requireRunning } from './kill.ts'

const run = promisify(execFile)

/** Freezes all processes of a container. @throws CONTAINER_STATE unless it runs */
export async function pauseContainer(container: Container): Promise<void> {
  requireRunning(container)
  if (readState(container).status === 'paused') throw wrongState(container, 'paused already')
  const { obstacle } = await readCgroups()
  if (obstacle !== undefined) throw new DrayError('RUN_FAILED', `cannot freeze it: ${obstacle}`)
  await call(container, pauseArguments)
  recordEvent(rootOf(container.paths), container.record, 'pause')
}

/** Lets the processes of a container go on. @throws CONTAINER_STATE unless it is paused */
export async function resumeContainer(container: Container): Promise<void> {
  requireRunning(container)
  if (readState(container).status !== 'paused') throw wrongState(container, 'not paused')
  await call(container, resumeArguments)
  recordEvent(rootOf(container.paths), container.record, 'unpause')
}

async function call(
  { record }: Container,
  argumentsOf: (runtimeRoot: string, id: string) => string[],
): Promise<void> {
  try {
    await run(record.runtime, argumentsOf(record.runtimeRoot, record.id))
  } catch (error) {
    throw new DrayError('RUN_FAILED', `${record.runtime}: ${errorMessage(error)}`, { cause: error })
  }
}

function wrongState({ record }: Container, what: string): DrayError {
  return new DrayError('CONTAINER_STATE', `container ${record.name} is ${what}`)
}
