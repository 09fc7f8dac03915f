import { DrayError } from '#oci/error.ts'
import type { TarEntry } from '../tar/entry.ts'

/** The part of an entry that becomes an inode's attributes. */
export type Attributes = Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>

/** A directory of the layer being built. `Leaf` is what its form keeps of files and symlinks. */
export interface DirectoryNode<Leaf extends LeafNode = LeafNode> {
  readonly kind: 'directory'
  readonly parent: DirectoryNode<Leaf> | undefined
  /** Binary string, one character a byte; '' for the root. */
  readonly name: string
  /** Bytes of its path from the layer's root, slashes included; 0 for the root. */
  readonly pathLength: number
  readonly children: Map<string, Node<Leaf>>
  /** What the entry that lists it says; undefined while it is only implied by the paths of others. */
  attributes: Attributes | undefined
  /** Whether it replaces what lower layers have there: it hides their contents. */
  opaque: boolean
  /** Whether it also replaces their attributes, so that an implied directory keeps its defaults. */
  recreated: boolean
}

/** Anything but a directory that stands for itself. A `file` is a regular file, a device or a fifo. */
export type LeafNode =
  | { readonly kind: 'file' }
  | { readonly kind: 'symlink'; readonly target: string }

/** What a layer has at a name. `skipped` is a device that could not be made. Hard links are one leaf under several names. */
export type Node<Leaf extends LeafNode = LeafNode> =
  | DirectoryNode<Leaf>
  | Leaf
  | { readonly kind: 'whiteout' }
  | { readonly kind: 'skipped' }

/** A name in a directory. */
export interface Place<Leaf extends LeafNode = LeafNode> {
  readonly parent: DirectoryNode<Leaf>
  readonly name: string
}

/** Attributes of a directory that a layer implies without listing it. */
export const IMPLIED: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map(),
}

/** The longest path and the longest target of a symlink that the kernel takes, in bytes (linux/limits.h, without the NUL). */
export const PATH_LIMIT = 4095
const NAME_LIMIT = 255

const LINK_LIMIT = 40 // Linux's MAXSYMLINKS

/** @throws LAYER_INVALID when no path could name it */
export function createDirectoryNode<Leaf extends LeafNode>(
  parent: DirectoryNode<Leaf> | undefined,
  name: string,
): DirectoryNode<Leaf> {
  const pathLength = parent === undefined ? 0 : parent.pathLength + 1 + name.length
  // A symlink may have led here: names of entries are checked where they are parsed.
  if (pathLength > PATH_LIMIT || name.length > NAME_LIMIT) {
    throw new DrayError('LAYER_INVALID', 'its path is too long')
  }
  return {
    kind: 'directory',
    parent,
    name,
    pathLength,
    children: new Map(),
    attributes: undefined,
    opaque: false,
    recreated: false,
  }
}

/** The path of a directory from the layer's root, as a binary string; '' for the root. */
export function pathOf(directory: DirectoryNode): string {
  const names: string[] = []
  for (let at = directory; at.parent !== undefined; at = at.parent) names.push(at.name)
  return names.reverse().join('/')
}

/**
 * The directory that `names` lead to from `root`, symlinks on the way followed as in a chroot: in memory, so that the kernel
 * never follows one. Where there is no directory, `make` is asked for one, given what is at the name; its undefined ends the
 * search.
 *
 * @throws LAYER_INVALID after 40 symlinks
 */
export function resolveDirectory<
  Leaf extends LeafNode,
  Made extends DirectoryNode<Leaf> | undefined,
>(
  root: DirectoryNode<Leaf>,
  names: readonly string[],
  make: (place: Place<Leaf>, existing: Node<Leaf> | undefined) => Made,
): DirectoryNode<Leaf> | Made {
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
      const made = make({ parent: current, name }, child)
      if (made === undefined) return made
      current = made
    }
  }
  return current
}
