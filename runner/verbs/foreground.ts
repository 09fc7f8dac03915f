import { openContainer, realContainersDir } from '../containers/find.ts'
import { settleIfFree } from '../containers/settle.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import { waitForEnd } from '../containers/wait.ts'
import type { RunnerContext } from '../context.ts'
import { untilProgramRuns } from '../runtime.ts'
import { exitCodeOfSignal, passSignal, SignalCatcher } from '../signals.ts'
import { type Attachment, type AttachStreams, attachTo, tellSize } from './attach.ts'
import { startContainer } from './start.ts'

/** How looking on at a container came to its end. */
export interface ForegroundEnd {
  /** The command's own, or 128 and the signal that ended it; absent when nobody saw it. */
  readonly exitCode?: number | undefined
  /** Whether the keys to detach were typed: the container goes on. */
  readonly isDetached: boolean
}

/**
 * Starts a container and looks on until it ends. Signals of this process, unless `passSignals` is false, go to the container's first
 * process; one that would be lost there kills it, as it would have ended the program outside of a container.
 *
 * @throws what starting throws
 */
export async function startInForeground(
  container: Container,
  context: RunnerContext,
  streams: AttachStreams,
  { passSignals = true } = {},
): Promise<ForegroundEnd> {
  const signals = passSignals ? new SignalCatcher() : undefined
  try {
    let attachment: Attachment | undefined
    const started = await startContainer(container, context, {
      whenCreated: async (created) => {
        attachment = attachTo(created.paths.dir, streams)
        await tellSize(created.paths.dir, streams)
      },
    })
    if (!started) attachment = attachTo(container.paths.dir, streams)
    return await lookOn(container, context, signals, attachment)
  } finally {
    signals?.release()
  }
}

/** Connects to a container that runs, and looks on until it ends. @throws CONTAINER_STATE when it doesn't run */
export async function attachInForeground(
  container: Container,
  context: RunnerContext,
  streams: AttachStreams,
  { passSignals = true } = {},
): Promise<ForegroundEnd> {
  const attachment = attachTo(container.paths.dir, streams)
  if (!passSignals) return await lookOn(container, context, undefined, attachment)
  const signals = new SignalCatcher()
  try {
    return await lookOn(container, context, signals, attachment)
  } finally {
    signals.release()
  }
}

async function lookOn(
  container: Container,
  context: RunnerContext,
  signals: SignalCatcher | undefined,
  attachment: Attachment | undefined,
): Promise<ForegroundEnd> {
  let killedFor: NodeJS.Signals | undefined
  const current = async () =>
    await openContainer(realContainersDir(context.root) ?? '', container.id)
  signals?.deliverTo(async (signal) => {
    const now = await current()
    const state = now && readState(now)
    if (state === undefined || !isRunning(state)) return
    await untilProgramRuns(state.pid, container.record.runtime)
    killedFor ??= passSignal(signal, state.pid)
  })
  // The code is read while the container is still there: with --rm, it removes itself.
  const looking = new AbortController()
  const end = waitForEnd(context.root, container, { signal: looking.signal })
  const hasEnded = (await attachment?.run()) ?? true
  if (!hasEnded) {
    looking.abort() // this process would go on to wait for the end
    await end.catch(() => undefined)
    return { isDetached: true }
  }
  const state = await end
  await settleIfFree(context.root, container)
  const exitCode = killedFor === undefined ? state?.exitCode : exitCodeOfSignal(killedFor)
  return { exitCode, isDetached: false }
}
