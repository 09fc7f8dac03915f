import { linkSync, mkdirSync, symlinkSync, unlinkSync } from 'node:fs'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { FILE_TYPE, mknod, setXattr } from '../../sys.ts'
import type { TarEntry } from '../../tar/entry.ts'
import { opaqueXattr } from '../../tar/xattr-names.ts'
import type { LayerForm } from '../form.ts'
import { type DirectoryNode, IMPLIED, type LeafNode, type Place } from '../tree.ts'
import { type AttributeWriter, createAttributeWriter } from './attributes.ts'
import { createFileWriter, type FileWriter } from './file-writer.ts'
import { removeTree } from './remove.ts'

/**
 * Keeps a layer as files in `dir`, an empty directory that is private to the process: whiteouts as character devices 0:0, opaque
 * directories marked by `trusted.overlay.opaque`, or `user.overlay.opaque` for whoever isn't root of the host (mount with
 * `userxattr`).
 *
 * @param asRoot whether to set owners, and make devices where a process may
 */
export function createDirForm(dir: Buffer, asRoot: boolean): LayerForm {
  return new DirForm(dir, asRoot)
}

const FILE = { kind: 'file' } as const

class DirForm implements LayerForm {
  readonly #dir: Buffer
  readonly #attributes: AttributeWriter
  readonly #files: FileWriter
  readonly #paths = new WeakMap<DirectoryNode, Buffer>()
  readonly #rulesHost: boolean
  skippedDevices = 0

  constructor(dir: Buffer, asRoot: boolean) {
    this.#dir = dir
    this.#rulesHost = asRoot && !isInUserNamespace()
    this.#attributes = createAttributeWriter(asRoot)
    this.#files = createFileWriter(this.#attributes)
  }

  get skippedXattrs(): number {
    return this.#attributes.skippedXattrs
  }

  makeDirectory(directory: DirectoryNode): void {
    // Nobody else looks in before the modes are final.
    mkdirSync(this.#pathOf(directory), 0o700)
  }

  makeLeaf(place: Place, entry: TarEntry): LeafNode | undefined {
    const path = this.#childPath(place)
    if (entry.type === 'symlink') return this.#makeSymlink(path, entry)
    if (entry.type === 'file') {
      this.#files.begin(path, entry)
      return FILE
    }
    if (entry.type !== 'fifo' && !this.#rulesHost) {
      this.skippedDevices++
      return undefined
    }
    if (entry.type === 'directory' || entry.type === 'hardlink') return undefined
    mknod(path, FILE_TYPE[entry.type] | 0o600, entry.devMajor, entry.devMinor)
    this.#attributes.toPath(path, entry)
    return FILE
  }

  makeLink(place: Place, source: Place): void {
    linkSync(this.#childPath(source), this.#childPath(place))
  }

  makeWhiteout(place: Place): void {
    mknod(this.#childPath(place), FILE_TYPE.character, 0, 0)
  }

  remove(place: Place, { kind }: { readonly kind: string }): void {
    const path = this.#childPath(place)
    if (kind === 'directory') removeTree(path)
    else unlinkSync(path)
  }

  write(chunk: Buffer, offsetInFile: number): void {
    this.#files.write(chunk, offsetInFile)
  }

  endEntry(): void {
    this.#files.end()
  }

  /** Children first: what is made in a directory changes its time, and its mode may forbid to. */
  finish(directory: DirectoryNode): void {
    for (const child of directory.children.values()) {
      if (child.kind === 'directory') this.finish(child)
    }
    const path = this.#pathOf(directory)
    if (directory.opaque) {
      setXattr(path, opaqueXattr(this.#rulesHost), Buffer.from('y'))
    }
    this.#attributes.toPath(path, directory.attributes ?? IMPLIED)
  }

  abort(): void {
    this.#files.abort()
  }

  #makeSymlink(path: Buffer, entry: TarEntry): LeafNode {
    const target = entry.linkPath ?? Buffer.alloc(0)
    symlinkSync(target, path)
    this.#attributes.toSymlink(path, entry)
    return { kind: 'symlink', target: target.toString('latin1') }
  }

  #pathOf(directory: DirectoryNode): Buffer {
    const { parent, name } = directory
    if (parent === undefined) return this.#dir
    let path = this.#paths.get(directory)
    if (path === undefined) {
      path = this.#childPath({ parent, name })
      this.#paths.set(directory, path)
    }
    return path
  }

  #childPath({ parent, name }: Place): Buffer {
    const path = this.#pathOf(parent)
    const child = Buffer.allocUnsafe(path.length + 1 + name.length)
    path.copy(child)
    child[path.length] = 0x2f
    child.write(name, path.length + 1, 'latin1')
    return child
  }
}
