import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { DrayError, isErrno } from '#oci/error.ts'
import { createAttributeWriter } from '../layers/dir/attributes.ts'
import { createFileWriter } from '../layers/dir/file-writer.ts'
import { splitName } from '../layers/name.ts'
import { type Attributes, IMPLIED } from '../layers/tree.ts'
import { FILE_TYPE, mknod } from '../sys.ts'
import { type Owner, printable, type TarEntry } from './entry.ts'
import { createTarReader, type TarSink } from './reader.ts'

export interface PlaceOptions {
  /** Who gets a file; default: whom the archive says. */
  readonly owner?: ((archived: Owner) => Owner) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Puts what a tar holds into a directory beside what is there: files are replaced, directories are filled. No symlink is
 * followed, whoever puts it there and whenever: each directory is opened in the one that holds it. Nothing replaces a
 * directory but a directory, and the other way round.
 *
 * @throws TAR_INVALID, LAYER_INVALID, and USAGE for what is in the way
 */
export async function placeTar(
  tar: AsyncIterable<Buffer>,
  dir: string,
  options: PlaceOptions = {},
): Promise<void> {
  const placer = new Placer(dir, options)
  const reader = createTarReader(placer)
  try {
    for await (const chunk of tar) {
      options.signal?.throwIfAborted()
      reader.push(chunk)
    }
    reader.end()
    placer.finish()
  } finally {
    placer.close()
  }
}

/** open(2): names a file without opening what it holds. */
const O_PATH = 0o10000000
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

class Placer implements TarSink {
  readonly #root: number
  readonly #owner: PlaceOptions['owner']
  readonly #attributes = createAttributeWriter(process.geteuid?.() === 0)
  readonly #files = createFileWriter(this.#attributes)
  readonly #directories: { readonly names: readonly string[]; readonly entry: Attributes }[] = []
  /** The directory of the current entry. */
  #parent: number | undefined

  constructor(dir: string, { owner }: PlaceOptions) {
    this.#root = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)
    this.#owner = owner
  }

  entry(archived: TarEntry): void {
    const entry = { ...archived, ...this.#owner?.(archived) }
    const names = splitName(entry.path)
    const name = names.at(-1)
    if (name === undefined) return // the directory that is there
    this.#leave()
    this.#parent = this.#open(names.slice(0, -1), entry.path)
    const path = pathIn(this.#parent, name)
    if (entry.type === 'directory') this.#makeDirectory(path, names, entry)
    else this.#makeLeaf(path, entry)
  }

  data(chunk: Buffer, offsetInFile: number): void {
    this.#files.write(chunk, offsetInFile)
  }

  endEntry(): void {
    this.#files.end()
  }

  /** Children first: what is put into a directory changes its time. */
  finish(): void {
    for (const { names, entry } of this.#directories.toReversed()) {
      this.#leave()
      this.#parent = this.#open(names, Buffer.from(names.join('/'), 'latin1'))
      this.#attributes.toPath(pathIn(this.#parent, '.'), entry)
    }
  }

  close(): void {
    this.#files.abort()
    this.#leave()
    closeSync(this.#root)
  }

  #leave(): void {
    if (this.#parent !== undefined) closeSync(this.#parent)
    this.#parent = undefined
  }

  #makeDirectory(path: Buffer, names: readonly string[], entry: TarEntry): void {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) mkdirSync(path, 0o700)
    else if (!found.isDirectory()) throw inTheWay(entry.path, 'is no directory')
    this.#directories.push({ names, entry })
  }

  #makeLeaf(path: Buffer, entry: TarEntry): void {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found?.isDirectory()) throw inTheWay(entry.path, 'is a directory')
    if (found !== undefined) unlinkSync(path)
    switch (entry.type) {
      case 'file':
        this.#files.begin(path, entry)
        return
      case 'symlink':
        symlinkSync(entry.linkPath ?? Buffer.alloc(0), path)
        this.#attributes.toSymlink(path, entry)
        return
      case 'hardlink':
        this.#makeLink(path, entry)
        return
      case 'directory':
        return
      default:
        makeSpecial(path, FILE_TYPE[entry.type], entry)
    }
  }

  #makeLink(path: Buffer, entry: TarEntry): void {
    const names = splitName(entry.linkPath ?? Buffer.alloc(0))
    const fd = this.#open(names.slice(0, -1), entry.path)
    try {
      linkSync(pathIn(fd, names.at(-1) ?? ''), path)
    } finally {
      closeSync(fd)
    }
  }

  /** Opens a directory below the root, made where it isn't there. @returns a descriptor that the caller closes */
  #open(names: readonly string[], path: Buffer): number {
    let fd = openSync(`/proc/self/fd/${this.#root}`, constants.O_RDONLY | constants.O_DIRECTORY)
    for (const name of names) {
      const parent = fd
      try {
        fd = this.#openIn(parent, name)
      } catch (error) {
        if (!isErrno(error, 'ENOTDIR', 'ELOOP')) throw error
        throw inTheWay(path, 'leads through what is no directory')
      } finally {
        closeSync(parent)
      }
    }
    return fd
  }

  #openIn(parent: number, name: string): number {
    const path = pathIn(parent, name)
    try {
      return openSync(path, DIRECTORY)
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
      mkdirSync(path, 0o755)
      const fd = openSync(path, DIRECTORY)
      this.#attributes.toPath(pathIn(fd, '.'), { ...IMPLIED, ...this.#owner?.(IMPLIED) })
      return fd
    }
  }
}

/** chmod(2) follows links, so that the name is used once, and then what was opened by it. */
function makeSpecial(path: Buffer, type: number, entry: TarEntry): void {
  mknod(path, type | 0o600, entry.devMajor, entry.devMinor)
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
  try {
    const made = `/proc/self/fd/${fd}`
    chownSync(made, entry.uid, entry.gid)
    chmodSync(made, entry.mode)
  } finally {
    closeSync(fd)
  }
}

function pathIn(fd: number, name: string): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), Buffer.from(name, 'latin1')])
}

function inTheWay(path: Buffer, what: string): DrayError {
  return new DrayError('USAGE', `cannot copy ${printable(path)}: what is there ${what}`)
}
