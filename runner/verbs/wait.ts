import type { Container, ContainerState } from '../containers/state.ts'
import { waitForEnd } from '../containers/wait.ts'

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
