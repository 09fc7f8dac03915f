import { openContainer, realContainersDir } from '../containers/find.ts'
import type { Container } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { recordEvent } from '../events/record.ts'
import { startContainer } from './start.ts'
import { stopContainer } from './stop.ts'

/** Stops a container if it runs, and starts it again. @throws what stopping and starting throw */
export async function restartContainer(
  container: Container,
  context: RunnerContext,
  options: {
    readonly timeoutSeconds?: number | undefined
    readonly signal?: string | undefined
  } = {},
): Promise<void> {
  await stopContainer(context.root, container, options)
  const now = await openContainer(realContainersDir(context.root) ?? '', container.id)
  await startContainer(now ?? container, context)
  recordEvent(context.root, container.record, 'restart')
}
