import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import { openContainer, realContainersDir } from '../containers/find.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { recordEvent } from '../events/record.ts'
import { exitCodeOf } from '../exit-code.ts'
import { checkOfRecord, type HealthCheck } from '../health/check.ts'
import { type HealthResult, noteResult, pauseBeforeCheck } from '../health/health.ts'
import { secondsOf } from '../health/watch.ts'
import { execInContainer } from './exec.ts'
import { requireRunning } from './kill.ts'

/** What is kept of what a check says; docker's, too. */
const OUTPUT_LIMIT = 4096
/** As docker gives it for a check that took too long. */
const TIMED_OUT = -1

/**
 * Checks the health of a container that runs, and writes down what came of it.
 *
 * @returns whether it is well
 * @throws CONTAINER_STATE when it doesn't run, or ends meanwhile; USAGE when it has no health check
 */
export async function checkHealth(container: Container, context: RunnerContext): Promise<boolean> {
  const { record } = container
  requireRunning(container)
  const check = checkOfRecord(record)
  if (check === undefined || record.phase.name !== 'started') {
    throw new DrayError('USAGE', `container ${record.name} has no health check`)
  }
  const result = await probe(container, check, context)
  const now = await openContainer(realContainersDir(context.root) ?? '', container.id)
  if (now === undefined || !isRunning(readState(now))) {
    throw new DrayError('CONTAINER_STATE', `container ${record.name} ended during the check`)
  }
  const { before, after } = noteResult(container.paths, record.phase, result, check)
  if (before.status !== after.status) {
    recordEvent(context.root, record, `health_status: ${after.status}`)
  }
  return result.exitCode === 0
}

/**
 * What the watch of a container does each time.
 *
 * @returns how long to wait then, in seconds; undefined when the container has ended
 */
export async function checkAndWait(
  id: string,
  context: RunnerContext,
): Promise<string | undefined> {
  const container = await openContainer(realContainersDir(context.root) ?? '', id)
  if (container === undefined) return undefined
  const state = readState(container)
  if (state.status === 'exited') return undefined
  try {
    if (state.status === 'running') await checkHealth(container, context)
  } catch (error) {
    if (!isDrayError(error)) throw error
  }
  const check = checkOfRecord(container.record)
  const { health } = readState(container)
  if (check === undefined) return undefined
  return secondsOf(
    health === undefined ? check.intervalMs : pauseBeforeCheck(health, check, Date.now()),
  )
}

/** Runs the command of a check as the container's own user, in its place. */
async function probe(
  container: Container,
  check: HealthCheck,
  context: RunnerContext,
): Promise<HealthResult> {
  const start = new Date().toISOString()
  let said = Buffer.alloc(0)
  const signal = AbortSignal.timeout(check.timeoutMs)
  const finish = (exitCode: number, output: string): HealthResult => ({
    ...{ start, end: new Date().toISOString(), exitCode, output },
  })
  try {
    const exitCode = await execInContainer(
      container,
      {
        command: check.command,
        signal,
        isUnnoted: true,
        onOutput: (piece) => {
          if (said.length < OUTPUT_LIMIT) said = Buffer.concat([said, piece])
        },
      },
      context,
    )
    if (!signal.aborted) return finish(exitCode, said.toString('utf8', 0, OUTPUT_LIMIT))
    return finish(TIMED_OUT, `the check took longer than ${secondsOf(check.timeoutMs)} s`)
  } catch (error) {
    if (!isDrayError(error) || error.code === 'CONTAINER_STATE') throw error
    return finish(exitCodeOf(error), errorMessage(error))
  }
}
