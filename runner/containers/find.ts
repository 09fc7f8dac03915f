import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { DrayError, isErrno } from '#oci/error.ts'
import { containerPaths, containersDir, isContainerId } from '../layout.ts'
import { readRecord } from '../record.ts'
import { idOfName } from './names.ts'
import type { Container } from './state.ts'

const PREFIX = /^[0-9a-f]{1,64}$/

/**
 * Finds a container by its name, its id, or the first digits of its id.
 *
 * @throws CONTAINER_UNKNOWN; USAGE when several ids begin so
 */
export async function findContainer(root: string, reference: string): Promise<Container> {
  const containers = realContainersDir(root)
  const named = containers === undefined ? undefined : idOfName(root, reference)
  const candidates =
    containers === undefined
      ? []
      : [...(named === undefined ? [] : [named]), ...idsLike(containers, reference)]
  for (const id of candidates) {
    const container = await openContainer(containers ?? '', id)
    if (container !== undefined) return container
  }
  throw new DrayError(
    'CONTAINER_UNKNOWN',
    `no container is called ${JSON.stringify(reference)}: dray ps -a lists them`,
  )
}

/** All containers of a store, the latest first. What can't be read is told to `onTrouble`, what has no record to `onHalf`. */
export async function listContainers(
  root: string,
  onTrouble: (error: unknown) => void = () => undefined,
  onHalf: (id: string) => void = () => undefined,
): Promise<Container[]> {
  const containers = realContainersDir(root)
  if (containers === undefined) return []
  const ids = readdirSync(containers).filter(isContainerId)
  const found = await Promise.all(
    ids.map(async (id) => {
      try {
        const container = await openContainer(containers, id)
        if (container === undefined) onHalf(id)
        return container
      } catch (error) {
        onTrouble(error)
        return undefined
      }
    }),
  )
  return found
    .filter((container) => container !== undefined)
    .toSorted((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1))
}

/** Reads a container by its id; undefined when there is none (any more). */
export async function openContainer(
  containers: string,
  id: string,
): Promise<Container | undefined> {
  const paths = containerPaths(containers, id)
  const record = readRecord(paths)
  return record === undefined ? undefined : { id, paths, record }
}

/** Where containers are, free of links, as the kernel tells mount points; undefined when there never was one. */
export function realContainersDir(root: string): string | undefined {
  try {
    return realpathSync(containersDir(root))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function idsLike(containers: string, prefix: string): string[] {
  if (!PREFIX.test(prefix)) return []
  if (isContainerId(prefix))
    return existsSync(containerPaths(containers, prefix).dir) ? [prefix] : []
  const ids = readdirSync(containers).filter((id) => isContainerId(id) && id.startsWith(prefix))
  if (ids.length < 2) return ids
  throw new DrayError(
    'USAGE',
    `${ids.length} containers have ids that begin with ${prefix}: give more digits`,
  )
}
