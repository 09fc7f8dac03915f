import { DrayError } from '#oci/error.ts'
import type { TarEntry } from '../tar/entry.ts'

/** A directory of the layer being built. */
export interface DirectoryNode {
  readonly kind: 'directory'
  readonly parent: DirectoryNode | undefined
  /** Where it is on the host. */
  readonly path: Buffer
  readonly children: Map<string, Node>
  /** The entry that describes it; undefined while it is only implied by the paths of others. */
  entry: TarEntry | undefined
  /** Whether it replaces what lower layers have there: it hides their contents. */
  opaque: boolean
  /** Whether it also replaces their attributes, so that an implied directory keeps its defaults. */
  recreated: boolean
}

/**
 * What a layer has at a name, as far as it matters to later entries: regular files, devices and fifos are not kept. `skipped`
 * is a device that could not be made.
 */
export type Node =
  | DirectoryNode
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'whiteout' }
  | { readonly kind: 'skipped' }

const LINK_LIMIT = 40 // Linux's MAXSYMLINKS

export function createDirectoryNode(
  parent: DirectoryNode | undefined,
  path: Buffer,
): DirectoryNode {
  return {
    kind: 'directory',
    parent,
    path,
    children: new Map(),
    entry: undefined,
    opaque: false,
    recreated: false,
  }
}

/** The host path of a name in a directory. `name` is a binary string. */
export function childPath(directory: DirectoryNode, name: string): Buffer {
  const { path } = directory
  const child = Buffer.allocUnsafe(path.length + 1 + name.length)
  path.copy(child)
  child[path.length] = 0x2f
  child.write(name, path.length + 1, 'latin1')
  return child
}

/**
 * The directory that `names` lead to from `root`, symlinks on the way followed as in a chroot: in memory, so that the kernel
 * never follows one. Where there is no directory, `make` is asked for one, given what is at the name; its undefined ends the
 * search.
 *
 * @throws LAYER_INVALID after 40 symlinks
 */
export function resolveDirectory<Made extends DirectoryNode | undefined>(
  root: DirectoryNode,
  names: readonly string[],
  make: (parent: DirectoryNode, name: string, existing: Node | undefined) => Made,
): DirectoryNode | Made {
  let current = root
  let links = 0
  const pending = names.toReversed()
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '' || name === '.') continue
    const child = current.children.get(name)
    if (name === '..') {
      current = current.parent ?? root
    } else if (child?.kind === 'directory') {
      current = child
    } else if (child?.kind === 'symlink') {
      if (++links > LINK_LIMIT) throw new DrayError('LAYER_INVALID', 'too many symlinks on the way')
      if (child.target.startsWith('/')) current = root
      pending.push(...child.target.split('/').toReversed())
    } else {
      const made = make(current, name, child)
      if (made === undefined) return made
      current = made
    }
  }
  return current
}
