import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ContainerPaths, containerPaths, containersDir, isContainerId } from '../layout.ts'
import { readStateFile, writeStateFile } from '../state-file.ts'
import type { Connection, Link, NetworkRecord } from './model.ts'

/** Where ip(8) looks for network namespaces by name. */
export const NAMESPACES = '/run/netns'

/** Where the namespace of a connection is. */
export function namespacePath({ namespace }: Pick<Connection, 'namespace'>): string {
  return join(NAMESPACES, namespace)
}

/** What a container has on its networks; undefined when it has no network of its own. */
export function readConnection(paths: ContainerPaths): Connection | undefined {
  return readStateFile(paths.network)
}

/** Writes down what a container has, at once or not at all. */
export function writeConnection(paths: ContainerPaths, connection: Connection): void {
  writeStateFile(paths.network, JSON.stringify(connection))
}

/** The containers that are on a network now, or were when they were cut off. */
export function connectionsOn(
  root: string,
  network: NetworkRecord,
): { readonly id: string; readonly link: Link }[] {
  const containers = containersDir(root)
  return idsIn(containers).flatMap((id) => {
    const links = readConnection(containerPaths(containers, id))?.links ?? []
    return links.filter((link) => link.network.id === network.id).map((link) => ({ id, link }))
  })
}

function idsIn(containers: string): string[] {
  try {
    return readdirSync(containers).filter(isContainerId)
  } catch {
    return []
  }
}
