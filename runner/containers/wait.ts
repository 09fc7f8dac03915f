import { watchPath } from '../watch.ts'
import { openContainer, realContainersDir } from './find.ts'
import { type Container, type ContainerState, isRunning, readState } from './state.ts'

/** How often is looked for an end that nobody writes down: a monitor that was killed, a container that was removed. */
const LOOK_EVERY_MS = 100

/**
 * Waits until a container doesn't run.
 *
 * @returns its state then, or after `withinMs`; undefined when it is gone
 * @throws the reason of `signal`
 */
export async function waitForEnd(
  root: string,
  container: Container,
  options: WaitOptions = {},
): Promise<ContainerState | undefined> {
  return await waitForState(root, container, hasEnded, options)
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined
  readonly withinMs?: number
}

/** Whether a container doesn't run, nor is about to. */
export function hasEnded(state: ContainerState): boolean {
  return !isRunning(state) && state.status !== 'starting'
}

/** {@link waitForEnd} for any state. */
export async function waitForState(
  root: string,
  container: Container,
  isWanted: (state: ContainerState) => boolean,
  options: WaitOptions = {},
): Promise<ContainerState | undefined> {
  const deadline = performance.now() + (options.withinMs ?? Number.POSITIVE_INFINITY)
  const changes = watchPath(container.paths.dir)
  try {
    for (;;) {
      const left = deadline - performance.now()
      const news = changes.next(Math.max(0, Math.min(left, LOOK_EVERY_MS)), options.signal)
      const now = await openContainer(realContainersDir(root) ?? '', container.id)
      const state = now === undefined ? undefined : readState(now)
      if (state === undefined || isWanted(state)) return state
      options.signal?.throwIfAborted()
      if (left <= 0) return state
      await news
    }
  } finally {
    changes.close()
  }
}
