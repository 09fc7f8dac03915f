import { DrayError } from '#oci/error.ts'
import type { Container, ContainerState } from '../containers/state.ts'
import { hasEnded, waitForEnd, waitForState } from '../containers/wait.ts'

/** What can be waited for, in podman's words. */
const CONDITIONS = {
  created: ({ status }) => status === 'created',
  running: ({ status }) => status === 'running',
  paused: ({ status }) => status === 'paused',
  stopped: hasEnded,
  exited: hasEnded,
  healthy: ({ health }) => health?.status === 'healthy',
  unhealthy: ({ health }) => health?.status === 'unhealthy',
} satisfies Readonly<Record<string, (state: ContainerState) => boolean>>

export type Condition = keyof typeof CONDITIONS

export const CONDITION_NAMES = Object.keys(CONDITIONS) as readonly Condition[]

/**
 * Waits until one of several conditions holds for a container.
 *
 * @returns its state then
 * @throws CONTAINER_UNKNOWN when it is removed meanwhile
 */
export async function waitForCondition(
  root: string,
  container: Container,
  conditions: readonly Condition[],
): Promise<ContainerState> {
  const isWanted = (state: ContainerState) => conditions.some((name) => CONDITIONS[name](state))
  const state = await waitForState(root, container, isWanted)
  if (state !== undefined) return state
  const message = `container ${container.record.name} was removed before it was ${conditions.join(' or ')}`
  throw new DrayError('CONTAINER_UNKNOWN', message)
}

/**
 * Waits until a container doesn't run (any more).
 *
 * @returns its exit code; undefined when nobody saw it, or the container is gone
 */
export async function waitForExit(
  root: string,
  container: Container,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ContainerState['exitCode']> {
  const state = await waitForEnd(root, container, options)
  return state?.status === 'created' ? 0 : state?.exitCode
}
