import type { Rootfs } from '#oci/rootfs.ts'
import type { ContainerOptions } from '../options.ts'
import { newContainer } from '../containers/create.ts'
import type { Container } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { commandLine } from '../spec.ts'

/**
 * Makes a container that can be started later, and as often as one likes.
 *
 * @param made.isToStart whether it is started next, which makes its record last a power cut; until then there is nothing to lose
 * @throws USAGE, RUNTIME_UNAVAILABLE, NAME_TAKEN, RUN_FAILED
 */
export async function createContainer(
  rootfs: Rootfs,
  options: ContainerOptions,
  context: RunnerContext,
  made: { readonly isToStart?: boolean } = {},
): Promise<Container> {
  commandLine(rootfs.config.config ?? {}, options) // nothing to run: better said now than at the start
  const { claim, record } = await newContainer(rootfs, options, context, {
    keeper: 'monitor',
    ...(made.isToStart && { durable: false }),
  })
  claim.release()
  return { id: claim.id, paths: claim.paths, record }
}
