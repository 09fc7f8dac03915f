import { DrayError } from '#oci/error.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import { recordEvent } from '../events/record.ts'
import { sendSignal } from '../processes.ts'
import { untilProgramRuns } from '../runtime.ts'
import { parseSignal } from '../signals.ts'
import { killNow } from './stop.ts'

/**
 * Sends a signal to a container's first process. After SIGKILL, waits until it has ended.
 *
 * @throws CONTAINER_STATE when it doesn't run, USAGE for what is no signal
 */
export async function killContainer(
  root: string,
  container: Container,
  signal = 'KILL',
): Promise<void> {
  const number = parseSignal(signal)
  const pid = requireRunning(container)
  recordEvent(root, container.record, 'kill', { signal: String(number) })
  if (number === parseSignal('KILL')) return await killNow(root, container, pid)
  await untilProgramRuns(pid, container.record.runtime)
  sendSignal(pid, number)
}

/** The number of a running container's first process. @throws CONTAINER_STATE */
export function requireRunning(container: Container): number {
  const state = readState(container)
  if (isRunning(state)) return state.pid
  const { name } = container.record
  const what = `container ${name} is not running (${state.status})`
  throw new DrayError('CONTAINER_STATE', `${what}: dray start ${name} starts it`)
}
