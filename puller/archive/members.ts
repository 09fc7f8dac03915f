import { createHash, type Hash } from 'node:crypto'
import { closeSync, createReadStream, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join, posix } from 'node:path'
import { type Digest, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { decompress } from '../layers/decompress.ts'
import { printable, type TarEntry } from '../tar/entry.ts'
import { createTarReader } from '../tar/reader.ts'

const MiB = 1024 * 1024

/** More than the images of a thousand layers have. */
const MOST_MEMBERS = 100_000
const LONGEST_NAME = 1024
const MOST_HOPS = 8

/** A file of an archive, unpacked under a name that the archive has no say in. */
export interface Member {
  readonly path: string
  readonly size: number
  /** sha256 of its bytes. */
  readonly digest: Digest
}

/** The files of an archive of images. */
export interface Members {
  /** What the archive is called in errors. */
  readonly where: string
  readonly names: readonly string[]
  /** Follows links inside the archive. @throws ARCHIVE_INVALID when there is no such file */
  find(name: string): Member
  has(name: string): boolean
  /** A small file. @throws ARCHIVE_INVALID when it is missing, or larger than `limit` */
  read(name: string, limit: number): Buffer
}

/**
 * Unpacks the files of an archive, gzip, zstd or plain, into a directory that is made. Nothing is written elsewhere, whatever
 * names the archive has.
 *
 * @throws ARCHIVE_INVALID, TAR_INVALID, COMPRESSION_INVALID
 */
export async function unpackMembers(
  archive: AsyncIterable<Buffer>,
  dir: string,
  where: string,
): Promise<Members> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const unpacking = new Unpacking(dir, where)
  const reader = createTarReader(unpacking)
  try {
    for await (const chunk of decompress(archive)) reader.push(chunk)
    reader.end()
  } finally {
    unpacking.close()
  }
  return membersOf(where, unpacking.files, unpacking.links)
}

/** Takes what the tar reader tells, and writes each file under a number. */
class Unpacking {
  readonly files = new Map<string, Member>()
  readonly links = new Map<string, string>()
  readonly #dir: string
  readonly #where: string
  #open:
    | { readonly name: string; readonly path: string; readonly fd: number; size: number }
    | undefined
  #hash: Hash = createHash('sha256')

  constructor(dir: string, where: string) {
    this.#dir = dir
    this.#where = where
  }

  entry({ path: raw, type, linkPath, sparse }: TarEntry): void {
    if (type === 'directory') return
    if (raw.length > LONGEST_NAME) throw invalid(this.#where, 'it has a name that is too long')
    const name = posix.normalize(raw.toString('utf8'))
    if (this.files.has(name) || this.links.has(name))
      throw invalid(this.#where, `it has ${printable(raw)} twice`)
    if (this.files.size + this.links.size >= MOST_MEMBERS)
      throw invalid(this.#where, `it has more than ${MOST_MEMBERS} files`)
    const link = linkPath?.toString('utf8') ?? ''
    if (type === 'symlink') this.links.set(name, posix.join(posix.dirname(name), link))
    if (type === 'hardlink') this.links.set(name, posix.normalize(link))
    if (type !== 'file') return
    if (sparse !== undefined) throw invalid(this.#where, `${printable(raw)} is a sparse file`)
    const path = join(this.#dir, String(this.files.size))
    this.#open = { name, path, fd: openSync(path, 'wx', 0o644), size: 0 }
    this.#hash = createHash('sha256')
  }

  data(chunk: Buffer): void {
    if (this.#open === undefined) return
    this.#hash.update(chunk)
    this.#open.size += chunk.length
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#open.fd, chunk, at)
  }

  endEntry(): void {
    if (this.#open === undefined) return
    const { name, path, size } = this.#open
    this.files.set(name, { path, size, digest: finishDigest('sha256', this.#hash) })
    this.close()
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd)
    this.#open = undefined
  }
}

function membersOf(
  where: string,
  files: ReadonlyMap<string, Member>,
  links: ReadonlyMap<string, string>,
): Members {
  const lookUp = (name: string) => {
    let at = posix.normalize(name)
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      const next = links.get(at)
      if (next === undefined) break
      at = next
    }
    return files.get(at)
  }
  const find = (name: string) => {
    const member = lookUp(name)
    if (member !== undefined) return member
    throw invalid(where, `it lacks ${printable(Buffer.from(name))}`)
  }
  return {
    where,
    names: [...files.keys()],
    find,
    has: (name) => lookUp(name) !== undefined,
    read(name, limit) {
      const { path, size } = find(name)
      if (size <= limit) return readFileSync(path)
      throw invalid(where, `${printable(Buffer.from(name))} has ${size} bytes`)
    },
  }
}

/** The bytes of a member. */
export function streamOf({ path }: Member): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: MiB })
}

export function invalid(where: string, why: string, cause?: unknown): DrayError {
  return new DrayError('ARCHIVE_INVALID', `${where} is no archive of images: ${why}`, { cause })
}
