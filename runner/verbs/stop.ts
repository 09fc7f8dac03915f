import { DrayError } from '#oci/error.ts'
import { changeContainer } from '../containers/change.ts'
import { settleIfFree } from '../containers/settle.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import { waitForEnd } from '../containers/wait.ts'
import { recordEvent } from '../events/record.ts'
import { sendSignal } from '../processes.ts'
import { writeRecord } from '../record.ts'
import { untilProgramRuns } from '../runtime.ts'
import { isLostOnNumber, parseSignal } from '../signals.ts'
import { resumeContainer } from './pause.ts'

const STOP_TIMEOUT_S = 10
/** A killed process ends at once, unless it waits for a disk. */
const KILLED_WITHIN_MS = 10_000

/**
 * Asks a container to stop, and kills it when it doesn't in time; at once when its first process would never see the signal.
 * One that doesn't run is left as it is, and isn't restarted any more.
 *
 * @param options.timeoutSeconds negative for ever; default: the container's own
 * @throws CONTAINER_STATE when it doesn't end
 */
export async function stopContainer(
  root: string,
  container: Container,
  options: {
    readonly timeoutSeconds?: number | undefined
    readonly signal?: string | undefined
    /** Whether the host goes down: after its next boot, all is as if nobody had stopped it. */
    readonly isHalt?: boolean | undefined
  } = {},
): Promise<void> {
  await keepStopped(root, container, options.isHalt ? 'isHalted' : 'stopRequested')
  const state = readState(container)
  if (isRunning(state)) await end(root, container, state.pid, options)
  await settleIfFree(root, container)
  if (isRunning(state)) recordEvent(root, container.record, 'stop')
}

async function end(
  root: string,
  container: Container,
  pid: number,
  options: { readonly timeoutSeconds?: number | undefined; readonly signal?: string | undefined },
): Promise<void> {
  const { record } = container
  const name =
    options.signal ?? record.options.stopSignal ?? record.rootfs.config.config?.StopSignal
  const number = parseSignal(name ?? 'TERM')
  const seconds = options.timeoutSeconds ?? record.options.stopTimeout ?? STOP_TIMEOUT_S
  await untilProgramRuns(pid, record.runtime)
  if (!isLostOnNumber(number, pid)) {
    recordEvent(root, record, 'kill', { signal: String(number) })
    sendSignal(pid, number)
    if (readState(container).status === 'paused') await resumeContainer(container)
    const withinMs = seconds < 0 ? Number.POSITIVE_INFINITY : seconds * 1000
    const after = await waitForEnd(root, container, { withinMs })
    if (after === undefined || !isRunning(after)) return
  }
  recordEvent(root, record, 'kill', { signal: '9' })
  await killNow(root, container, pid)
}

/** Kills a container and waits until it has ended. @throws CONTAINER_STATE when it doesn't */
export async function killNow(root: string, container: Container, pid: number): Promise<void> {
  sendSignal(pid, 'SIGKILL')
  if (readState(container).status === 'paused') await resumeContainer(container)
  const after = await waitForEnd(root, container, { withinMs: KILLED_WITHIN_MS })
  if (after === undefined || !isRunning(after)) return
  const message = `container ${container.record.name} was killed and does not end: see dmesg`
  throw new DrayError('CONTAINER_STATE', message)
}

/** Notes that no policy is to start it again, and why. */
async function keepStopped(
  root: string,
  container: Container,
  why: 'stopRequested' | 'isHalted',
): Promise<void> {
  if (container.record.keeper === 'owner') return
  await changeContainer(root, container, async (claim, record) => {
    const { phase } = record
    if (phase.name !== 'started' && phase.name !== 'ended') return
    await writeRecord(claim.paths, { ...record, phase: { ...phase, [why]: true } })
  })
}
