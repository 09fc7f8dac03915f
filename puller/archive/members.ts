import { createHash, type Hash } from 'node:crypto'
import { closeSync, createReadStream, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { type Digest, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { errorIn, naming } from '../error-in.ts'
import { compressionOf } from '../layers/compression-of.ts'
import { decompress } from '../layers/decompress.ts'
import { expandByProgram } from '../layers/host-program.ts'
import { printable, type TarEntry } from '../tar/entry.ts'
import { createTarReader } from '../tar/reader.ts'

const MiB = 1024 * 1024

/** More than the images of a thousand layers have. */
const MOST_MEMBERS = 100_000
const LONGEST_NAME = 1024
const MOST_HOPS = 8

/** A file of an archive: bytes of a file on disk, under whose name the archive has no say. */
export interface Member {
  readonly path: string
  readonly start: number
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
 * Reads which files an archive has, plain or packed. They stay where they are in a plain archive that is a file, and are
 * unpacked into a directory otherwise. Nothing is written elsewhere, whatever names the archive has.
 *
 * @param archive a path, or the archive itself
 * @param dir is made
 * @throws USAGE when it can't be read, ARCHIVE_INVALID, TAR_INVALID, COMPRESSION_INVALID
 */
export async function readMembers(
  archive: string | AsyncIterable<Buffer>,
  dir: string,
): Promise<Members> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const isPath = typeof archive === 'string'
  const where = isPath ? archive : 'standard input'
  const plain = isPath && (await isPlainFile(archive)) ? archive : undefined
  const reading = new Reading(plain === undefined ? { dir } : { path: plain }, where)
  const reader = createTarReader(reading)
  const bytes = isPath ? createReadStream(archive, { highWaterMark: MiB }) : archive
  try {
    for await (const chunk of plain === undefined
      ? decompress(bytes, { others: expandByProgram })
      : bytes)
      reader.push(chunk)
    reader.end()
  } catch (error) {
    throw errorIn(where, error)
  } finally {
    reading.close()
  }
  return membersOf(where, reading.files, reading.links)
}

/** Whether it can be read at any place, as often as one likes, and isn't compressed. */
async function isPlainFile(path: string): Promise<boolean> {
  if (!(await stat(path)).isFile()) return false
  return (await naming(path, compressionOf(createReadStream(path)))) === 'none'
}

/** Where files of an archive are: written under a number each, or where they are in the archive. */
type Where = { readonly dir: string } | { readonly path: string }

/** Takes what the tar reader tells. */
class Reading {
  readonly files = new Map<string, Member>()
  readonly links = new Map<string, string>()
  readonly #place: Where
  readonly #where: string
  #open: OpenMember | undefined
  #hash: Hash = createHash('sha256')

  constructor(place: Where, where: string) {
    this.#place = place
    this.#where = where
  }

  entry({ path: raw, type, linkPath, sparse, dataOffset }: TarEntry): void {
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
    this.#open = { name, size: 0, ...this.#placeOf(dataOffset) }
    this.#hash = createHash('sha256')
  }

  #placeOf(dataOffset: number): Pick<OpenMember, 'path' | 'start' | 'fd'> {
    if ('path' in this.#place) return { path: this.#place.path, start: dataOffset }
    const path = join(this.#place.dir, String(this.files.size))
    return { path, start: 0, fd: openSync(path, 'wx', 0o644) }
  }

  data(chunk: Buffer): void {
    if (this.#open === undefined) return
    this.#hash.update(chunk)
    this.#open.size += chunk.length
    const { fd } = this.#open
    if (fd !== undefined) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at)
  }

  endEntry(): void {
    if (this.#open === undefined) return
    const { name, path, start, size } = this.#open
    this.files.set(name, { path, start, size, digest: finishDigest('sha256', this.#hash) })
    this.close()
  }

  close(): void {
    if (this.#open?.fd !== undefined) closeSync(this.#open.fd)
    this.#open = undefined
  }
}

/** A file of the archive that is being read, and the one that it is written to. */
interface OpenMember {
  readonly name: string
  readonly path: string
  readonly start: number
  readonly fd?: number
  size: number
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
      const member = find(name)
      const { size } = member
      if (size <= limit) return readMember(member)
      throw invalid(where, `${printable(Buffer.from(name))} has ${size} bytes`)
    },
  }
}

/** A small member. */
export function readMember({ path, start, size }: Member): Buffer {
  const bytes = Buffer.alloc(size)
  const fd = openSync(path, 'r')
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, size, start))
  } finally {
    closeSync(fd)
  }
}

/** The bytes of a member, from one of them on. */
export function streamOf({ path, start, size }: Member, from = 0): AsyncIterable<Buffer> {
  // A stream that is to end before it begins is refused.
  if (from >= size) return Readable.from([])
  const range = { start: start + from, end: start + size - 1 }
  return createReadStream(path, { ...range, highWaterMark: MiB })
}

export function invalid(where: string, why: string, cause?: unknown): DrayError {
  return new DrayError('ARCHIVE_INVALID', `${where} is no archive of images: ${why}`, { cause })
}
