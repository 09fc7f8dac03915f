import { DrayError } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import type { ContainerOptions } from '../options.ts'
import type { ContainerUser } from '../user.ts'
import { type IdMap, outsideId } from './id-map.ts'
import { takeRange } from './ranges.ts'

/** Finds the ids that a new container is to have. @throws RUN_FAILED when none are left, or this user has none to give */
export function resolveIds(containerDir: string, options: ContainerOptions): ContainerOptions {
  const { userns } = options
  if (userns === undefined) return options
  if (isInUserNamespace()) {
    const message =
      'containers of an ordinary user are in its own user namespace: leave --userns out'
    throw new DrayError('RUN_FAILED', message)
  }
  if ('uids' in userns) return options
  return { ...options, userns: takeRange(userns.size, containerDir) }
}

/** The ids of a container that was made; undefined for the host's. */
export function idMapOf({ userns }: ContainerOptions): IdMap | undefined {
  return userns !== undefined && 'uids' in userns ? userns : undefined
}

/** @throws USAGE when the user of a container is nobody in its namespace */
export function checkMapped(map: IdMap, { uid, gid, additionalGids }: ContainerUser): void {
  const group = [gid, ...additionalGids].find((id) => outsideId(map.gids, id) === undefined)
  const strange = outsideId(map.uids, uid) === undefined ? `user ${uid}` : group && `group ${group}`
  if (strange === undefined) return
  const advice = 'write --userns auto:size=N with a larger N'
  throw new DrayError('USAGE', `${strange} is not among the ids of the container: ${advice}`)
}
