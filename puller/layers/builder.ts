import { DrayError } from '#oci/error.ts'
import { printable, type TarEntry } from '../tar/entry.ts'
import type { LayerArchive, LayerForm } from './form.ts'
import { splitName } from './name.ts'
import {
  createDirectoryNode,
  type DirectoryNode,
  type LeafNode,
  type Node,
  PATH_LIMIT,
  type Place,
  pathOf,
  resolveDirectory,
} from './tree.ts'

/** The directories that a layer implied, and whether it hides all that lower layers hold. */
export interface BuiltLayer {
  /** Sorted binary strings, relative to the layer's root; '' is the root. */
  readonly implied: readonly string[]
  /** The directories that hold whiteouts, in the same form. */
  readonly whiteoutParents: readonly string[]
  readonly opaqueRoot: boolean
}

/**
 * Builds the tree of one layer as a lower directory of overlay. `names` lead from the layer's root to a name, which is then
 * given what the call says. What was there before is replaced, but a directory stays a directory, and a whiteout never hides
 * what the same layer has, in whatever order they come. A directory in place of anything else is opaque: applied one by one,
 * the entries had removed a lower directory of that name. Errors are LAYER_INVALID and those of the form.
 */
export interface LayerBuilder {
  putDirectory(names: readonly string[], entry: TarEntry): void
  /** Puts a file, symlink, device or fifo. One that the form can't make leaves the name empty, and hard links to it too. */
  putLeaf(names: readonly string[], entry: TarEntry): void
  putHardlink(names: readonly string[], entry: TarEntry): void
  putWhiteout(names: readonly string[]): void
  putOpaque(names: readonly string[]): void
  finish(archive: LayerArchive): BuiltLayer
}

/** @param onImplied called before each directory that the layer implies is made; may throw */
export function createLayerBuilder<Leaf extends LeafNode>(
  form: LayerForm<Leaf>,
  onImplied: () => void,
): LayerBuilder {
  return new Builder(form, onImplied)
}

const WHITEOUT = { kind: 'whiteout' } as const
const SKIPPED = { kind: 'skipped' } as const

class Builder<Leaf extends LeafNode> implements LayerBuilder {
  readonly #form: LayerForm<Leaf>
  readonly #onImplied: () => void
  readonly #root = createDirectoryNode<Leaf>(undefined, '')
  readonly #implied: string[] = []
  readonly #whiteoutParents: string[] = []

  constructor(form: LayerForm<Leaf>, onImplied: () => void) {
    this.#form = form
    this.#onImplied = onImplied
  }

  putDirectory(names: readonly string[], entry: TarEntry): void {
    const { mode, uid, gid, mtime, xattrs } = entry
    this.#directoryAt(names).attributes = { mode, uid, gid, mtime, xattrs }
  }

  putLeaf(names: readonly string[], entry: TarEntry): void {
    if (entry.type === 'symlink') checkTarget(entry)
    const place = this.#locate(names)
    this.#clear(place)
    place.parent.children.set(place.name, this.#form.makeLeaf(place, entry) ?? SKIPPED)
  }

  putHardlink(names: readonly string[], { linkPath = EMPTY }: TarEntry): void {
    const source = this.#findSource(linkPath)
    const place = this.#locate(names)
    if (place.parent === source.parent && place.name === source.name) return
    const replaced = place.parent.children.get(place.name)
    if (isWithin(source.parent, replaced)) throw missing(linkPath)
    this.#clear(place)
    if (source.node.kind !== 'skipped') this.#form.makeLink(place, source)
    place.parent.children.set(place.name, source.node)
  }

  putWhiteout(names: readonly string[]): void {
    const place = this.#locate(names)
    const existing = place.parent.children.get(place.name)
    if (existing?.kind === 'directory') {
      existing.opaque = true
      existing.recreated = true
    }
    if (existing !== undefined && existing.kind !== 'skipped') return
    this.#form.makeWhiteout(place)
    place.parent.children.set(place.name, WHITEOUT)
  }

  putOpaque(names: readonly string[]): void {
    this.#resolve(names).opaque = true
  }

  finish(archive: LayerArchive): BuiltLayer {
    this.#settle(this.#root, false)
    this.#form.finish(this.#root, archive)
    return {
      implied: this.#implied.sort(),
      whiteoutParents: this.#whiteoutParents.sort(),
      opaqueRoot: this.#root.opaque,
    }
  }

  #settle(node: DirectoryNode<Leaf>, isParentOpaque: boolean): void {
    const hidesLower = node.opaque || isParentOpaque
    let holdsWhiteouts = false
    for (const [name, child] of node.children) {
      if (child.kind === 'directory') this.#settle(child, hidesLower)
      if (child.kind !== 'whiteout') continue
      // Nothing is left to hide, and overlay would list it: it looks for whiteouts only in directories that it merges.
      if (hidesLower) this.#clear({ parent: node, name })
      else holdsWhiteouts = true
    }
    if (holdsWhiteouts) this.#whiteoutParents.push(pathOf(node))
    if (node.attributes === undefined && !node.recreated) this.#implied.push(pathOf(node))
  }

  #directoryAt(names: readonly string[]): DirectoryNode<Leaf> {
    if (names.length === 0) return this.#root
    const place = this.#locate(names)
    const existing = place.parent.children.get(place.name)
    return existing?.kind === 'directory' ? existing : this.#makeDirectory(place, existing)
  }

  #resolve(names: readonly string[]): DirectoryNode<Leaf> {
    return resolveDirectory(this.#root, names, (place, existing) => {
      this.#onImplied()
      if (existing?.kind === 'file') throw invalid('a part of its path is not a directory')
      return this.#makeDirectory(place, existing)
    })
  }

  #locate(names: readonly string[]): Place<Leaf> {
    const name = names.at(-1)
    if (name === undefined) throw invalid('the root of the layer must be a directory')
    return { parent: this.#resolve(names.slice(0, -1)), name }
  }

  #findSource(linkPath: Buffer): Place<Leaf> & { readonly node: Leaf | typeof SKIPPED } {
    const names = splitName(linkPath)
    const name = names.at(-1)
    const parent = resolveDirectory(this.#root, names.slice(0, -1), () => undefined)
    const node = name === undefined ? undefined : parent?.children.get(name)
    const isLeaf = node !== undefined && node.kind !== 'directory' && node.kind !== 'whiteout'
    if (parent !== undefined && name !== undefined && isLeaf) return { parent, name, node }
    throw missing(linkPath)
  }

  #makeDirectory(place: Place<Leaf>, existing: Node<Leaf> | undefined): DirectoryNode<Leaf> {
    const node = createDirectoryNode(place.parent, place.name)
    const isReplacing = existing !== undefined && existing.kind !== 'skipped'
    if (isReplacing) this.#clear(place)
    node.recreated = isReplacing
    node.opaque = isReplacing
    this.#form.makeDirectory(node)
    place.parent.children.set(place.name, node)
    return node
  }

  #clear(place: Place<Leaf>): void {
    const { children } = place.parent
    const existing = children.get(place.name)
    if (existing === undefined) return
    children.delete(place.name)
    if (existing.kind !== 'skipped') this.#form.remove(place, existing)
  }
}

const EMPTY = Buffer.alloc(0)

/** Whether a directory is `tree` or something in it. */
function isWithin(directory: DirectoryNode, tree: Node | undefined): boolean {
  for (let at: DirectoryNode | undefined = directory; at !== undefined; at = at.parent) {
    if (at === tree) return true
  }
  return false
}

function checkTarget({ linkPath = EMPTY }: TarEntry): void {
  if (linkPath.length === 0) throw invalid('it is a symlink to nothing')
  if (linkPath.length > PATH_LIMIT) throw invalid('it is a symlink to a name that is too long')
}

function missing(linkPath: Buffer): DrayError {
  return invalid(`it links to ${printable(linkPath)}, which is no file of this layer`)
}

function invalid(what: string): DrayError {
  return new DrayError('LAYER_INVALID', what)
}
