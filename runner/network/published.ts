import type { ContainerPaths } from '../layout.ts'
import { readStateFile } from '../state-file.ts'
import { readConnection } from './connections.ts'
import type { PortMapping } from './model.ts'
import type { UserModeNetwork } from './user-mode/connect.ts'

/** The ports of the host that lead to a container now, whoever made its network. */
export function publishedPorts(paths: ContainerPaths): readonly PortMapping[] {
  const network = readStateFile<UserModeNetwork>(paths.userNetwork) ?? readConnection(paths)
  return network?.ports ?? []
}
