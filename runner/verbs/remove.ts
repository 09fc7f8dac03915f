import { DrayError, isDrayError } from '#oci/error.ts'
import { readCgroups } from '../cgroup.ts'
import { removeContainer as removeAll } from '../cleanup.ts'
import { changeContainer } from '../containers/change.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import { waitForEnd } from '../containers/wait.ts'
import { dropAnonymousVolumes } from '../volumes/resolve.ts'
import { recordEvent } from '../events/record.ts'
import { sendSignal } from '../processes.ts'

/** An owner removes its container itself when that was killed. */
const OWNER_REMOVES_WITHIN_MS = 10_000

/**
 * Removes a container, and what it wrote.
 *
 * @throws CONTAINER_STATE when it runs, unless `force` kills it first
 */
export async function removeContainer(
  root: string,
  container: Container,
  options: { readonly force?: boolean | undefined; readonly volumes?: boolean | undefined } = {},
): Promise<void> {
  if (!options.force) refuseRunning(container)
  if (container.record.keeper === 'owner') return await removeOwned(root, container)
  try {
    await changeContainer(root, container, async (claim, current) => {
      // Somebody may have started it meanwhile.
      if (!options.force) refuseRunning({ ...container, record: current })
      if (current.phase.name === 'started') recordEvent(root, current, 'kill', { signal: '9' })
      await removeAll(root, claim, current, await readCgroups())
      if (options.volumes) await dropAnonymousVolumes(root, current.options)
    })
  } catch (error) {
    // With --rm, it removed itself.
    if (!isDrayError(error, 'CONTAINER_UNKNOWN')) throw error
  }
}

function refuseRunning(container: Container): void {
  const state = readState(container)
  if (!isRunning(state)) return
  const message = `container ${container.record.name} is ${state.status}: stop it first, or remove it with --force`
  throw new DrayError('CONTAINER_STATE', message)
}

async function removeOwned(root: string, container: Container): Promise<void> {
  const { pid } = readState(container)
  if (pid !== undefined) sendSignal(pid, 'SIGKILL')
  const left = await waitForEnd(root, container, { withinMs: OWNER_REMOVES_WITHIN_MS })
  if (left === undefined) return
  throw new DrayError('CONTAINER_STATE', `container ${container.record.name} does not end`)
}
