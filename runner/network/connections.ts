import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ContainerPaths, containerPaths, containersDir, isContainerId } from '../layout.ts'
import type { Connection, NetworkRecord } from './model.ts'

/** Where ip(8) looks for network namespaces by name. */
export const NAMESPACES = '/run/netns'

/** Where the namespace of a connection is. */
export function namespacePath({ namespace }: Pick<Connection, 'namespace'>): string {
  return join(NAMESPACES, namespace)
}

/** What a container has on a network; undefined when it is on none. */
export function readConnection(paths: ContainerPaths): Connection | undefined {
  try {
    return JSON.parse(readFileSync(paths.network, 'utf8')) as Connection
  } catch {
    return undefined
  }
}

/** The containers that are on a network now, or were when they were cut off. */
export function connectionsOn(
  root: string,
  network: NetworkRecord,
): { readonly id: string; readonly connection: Connection }[] {
  const containers = containersDir(root)
  return idsIn(containers).flatMap((id) => {
    const connection = readConnection(containerPaths(containers, id))
    return connection?.network.id === network.id ? [{ id, connection }] : []
  })
}

function idsIn(containers: string): string[] {
  try {
    return readdirSync(containers).filter(isContainerId)
  } catch {
    return []
  }
}
