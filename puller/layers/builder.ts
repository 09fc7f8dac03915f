import { linkSync, lstatSync, mkdirSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { errnoOf, FILE_TYPE, mknod, setXattr } from '../sys.ts'
import { printable, type TarEntry } from '../tar/entry.ts'
import type { AttributeWriter } from './attributes.ts'
import { splitName } from './name.ts'
import { removeTree } from './remove.ts'
import {
  childPath,
  createDirectoryNode,
  type DirectoryNode,
  type Node,
  resolveDirectory,
} from './tree.ts'

/** What {@link createLayerBuilder} needs. */
export interface LayerBuilderOptions {
  /** Host path of the directory to fill: empty, and private to the process. */
  readonly dir: Buffer
  readonly asRoot: boolean
  readonly attributes: AttributeWriter
  /** Called before each directory that the layer implies is made; may throw. */
  readonly onImplied: () => void
}

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
 * the entries had removed a lower directory of that name. Errors are LAYER_INVALID, SYSCALL_FAILED and those of `node:fs`.
 */
export interface LayerBuilder {
  putDirectory(names: readonly string[], entry: TarEntry): void
  /** `create` is given a host path and makes anything but a directory there; it fails with EEXIST if something is there. */
  putLeaf(names: readonly string[], create: (path: Buffer) => void): void
  putSymlink(names: readonly string[], entry: TarEntry): void
  putHardlink(names: readonly string[], entry: TarEntry): void
  /** Leaves the name empty, for a device that can't be made; hard links to it are left out too. */
  putSkipped(names: readonly string[]): void
  putWhiteout(names: readonly string[]): void
  putOpaque(names: readonly string[]): void
  /** Gives directories their attributes, children first. */
  finish(): BuiltLayer
}

export function createLayerBuilder(options: LayerBuilderOptions): LayerBuilder {
  return new Builder(options)
}

const IMPLIED = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: new Map<string, Buffer>(),
} as const

interface Place {
  readonly parent: DirectoryNode
  readonly name: string
}

class Builder implements LayerBuilder {
  readonly #options: LayerBuilderOptions
  readonly #root: DirectoryNode
  readonly #implied: string[] = []
  readonly #whiteoutParents: string[] = []

  constructor(options: LayerBuilderOptions) {
    this.#options = options
    this.#root = createDirectoryNode(undefined, options.dir)
  }

  putDirectory(names: readonly string[], entry: TarEntry): void {
    if (names.length === 0) {
      this.#root.entry = entry
      return
    }
    const { parent, name } = this.#locate(names)
    const existing = parent.children.get(name)
    const isDirectory = existing?.kind === 'directory'
    const node = isDirectory ? existing : this.#makeDirectory(parent, name, existing)
    node.entry = entry
  }

  putLeaf(names: readonly string[], create: (path: Buffer) => void): void {
    this.#replace(this.#locate(names), create)
  }

  putSymlink(names: readonly string[], entry: TarEntry): void {
    const place = this.#locate(names)
    const target = entry.linkPath ?? Buffer.alloc(0)
    this.#replace(place, (path) => {
      symlinkSync(target, path)
      this.#options.attributes.toSymlink(path, entry)
    })
    place.parent.children.set(place.name, { kind: 'symlink', target: target.toString('latin1') })
  }

  putHardlink(names: readonly string[], { linkPath }: TarEntry): void {
    const target = this.#findTarget(linkPath ?? Buffer.alloc(0))
    const place = this.#locate(names)
    if (place.parent === target.parent && place.name === target.name) return
    if (target.node?.kind === 'skipped') {
      this.putSkipped(names)
      return
    }
    const source = childPath(target.parent, target.name)
    this.#replace(place, (path) => linkSync(source, path))
    if (target.node !== undefined) place.parent.children.set(place.name, target.node)
  }

  putSkipped(names: readonly string[]): void {
    const place = this.#locate(names)
    this.#clear(place)
    rmSync(childPath(place.parent, place.name), { force: true })
    place.parent.children.set(place.name, { kind: 'skipped' })
  }

  putWhiteout(names: readonly string[]): void {
    const { parent, name } = this.#locate(names)
    const existing = parent.children.get(name)
    if (existing?.kind === 'directory') {
      existing.opaque = true
      existing.recreated = true
    }
    if (existing !== undefined && existing.kind !== 'skipped') return
    try {
      mknod(childPath(parent, name), FILE_TYPE.character, 0, 0)
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return
      throw error
    }
    parent.children.set(name, { kind: 'whiteout' })
  }

  putOpaque(names: readonly string[]): void {
    this.#resolve(names).opaque = true
  }

  finish(): BuiltLayer {
    this.#settle(this.#root, false)
    return {
      implied: this.#implied.sort(),
      whiteoutParents: this.#whiteoutParents.sort(),
      opaqueRoot: this.#root.opaque,
    }
  }

  #settle(node: DirectoryNode, isParentOpaque: boolean): void {
    const { dir, asRoot, attributes } = this.#options
    const path = node.path.toString('latin1', dir.length + 1)
    const hidesLower = node.opaque || isParentOpaque
    let holdsWhiteouts = false
    for (const [name, child] of node.children) {
      if (child.kind === 'directory') this.#settle(child, hidesLower)
      if (child.kind !== 'whiteout') continue
      // Nothing is left to hide, and overlay would list it: it looks for whiteouts only in directories that it merges.
      if (hidesLower) unlinkSync(childPath(node, name))
      else holdsWhiteouts = true
    }
    if (holdsWhiteouts) this.#whiteoutParents.push(path)
    if (node.opaque) {
      const name = asRoot ? 'trusted.overlay.opaque' : 'user.overlay.opaque'
      setXattr(node.path, name, Buffer.from('y'))
    }
    attributes.toPath(node.path, node.entry ?? IMPLIED)
    if (node.entry === undefined && !node.recreated) this.#implied.push(path)
  }

  #resolve(names: readonly string[]): DirectoryNode {
    return resolveDirectory(this.#root, names, (parent, name, existing) => {
      this.#options.onImplied()
      return this.#makeDirectory(parent, name, existing, 'implied')
    })
  }

  #locate(names: readonly string[]): Place {
    const name = names.at(-1)
    if (name === undefined) throw invalid('the root of the layer must be a directory')
    return { parent: this.#resolve(names.slice(0, -1)), name }
  }

  #findTarget(linkPath: Buffer): Place & { readonly node: Node | undefined } {
    const names = splitName(linkPath)
    const name = names.at(-1)
    const parent = resolveDirectory(this.#root, names.slice(0, -1), () => undefined)
    if (parent === undefined || name === undefined) throw missing(linkPath)
    const node = parent.children.get(name)
    if (node?.kind === 'directory') throw missing(linkPath)
    if (node?.kind === 'whiteout' || !isThere(childPath(parent, name), node))
      throw missing(linkPath)
    return { parent, name, node }
  }

  #makeDirectory(
    parent: DirectoryNode,
    name: string,
    existing: Node | undefined,
    why: 'listed' | 'implied' = 'listed',
  ): DirectoryNode {
    const path = childPath(parent, name)
    const node = createDirectoryNode(parent, path)
    if (existing?.kind === 'symlink' || existing?.kind === 'whiteout') {
      unlinkSync(path)
      node.recreated = true
    }
    try {
      mkdirSync(path, 0o700)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      if (why === 'implied') throw invalid('a part of its path is not a directory')
      unlinkSync(path)
      mkdirSync(path, 0o700)
      node.recreated = true
    }
    node.opaque = node.recreated
    parent.children.set(name, node)
    return node
  }

  #replace(place: Place, create: (path: Buffer) => void): void {
    const path = childPath(place.parent, place.name)
    this.#clear(place)
    try {
      create(path)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      unlinkSync(path)
      create(path)
    }
  }

  /** Removes what the tree in memory has at a place. A file, which it doesn't know, stays. */
  #clear({ parent, name }: Place): void {
    const existing = parent.children.get(name)
    if (existing === undefined) return
    parent.children.delete(name)
    if (existing.kind === 'directory') removeTree(existing.path)
    else if (existing.kind !== 'skipped') unlinkSync(childPath(parent, name))
  }
}

function isThere(path: Buffer, node: Node | undefined): boolean {
  return node !== undefined || lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function missing(linkPath: Buffer): DrayError {
  return invalid(`it links to ${printable(linkPath)}, which is no file of this layer`)
}

function invalid(what: string): DrayError {
  return new DrayError('LAYER_INVALID', what)
}
