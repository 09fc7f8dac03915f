import { DrayError } from '#oci/error.ts'
import { printable, type TarEntry, type TarEntryType, type TarTime } from './entry.ts'
import { natural, parseDevice, type TarHeader } from './header.ts'
import { parsePaxName, parsePaxNumber, parsePaxTime, XATTR_PREFIX } from './pax.ts'
import { parseSparseList } from './sparse.ts'

/** What the extended headers before a header say about it. */
export interface Extensions {
  readonly pax: ReadonlyMap<string, Buffer>
  readonly longPath: Buffer | undefined
  readonly longLink: Buffer | undefined
}

/** How the map of a sparse file is stored: in the header, at hand, or in front of the content. */
export type SparseSource = 'none' | 'old' | 'list' | 'inline'

/** A header with its extensions applied; what the sparse map changes is still open. */
export interface Member {
  readonly entry: TarEntry
  readonly sparse: SparseSource
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  S: 'file',
}

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()
const ID_LIMIT = 2 ** 32 - 2 // 2^32 - 1 means "leave as it is" to chown(2)

/**
 * Applies extended headers to a header as Go's archive/tar does, so that every container tool sees one tree: a GNU long
 * name over a PAX name over the header's, PAX numbers over the header's, `GNU.sparse.name` over all. A PAX size also
 * governs how much content follows. Links, devices, fifos and directories have no content, whatever their size field says.
 *
 * @throws TAR_INVALID for a type that no container layer holds, or a value out of range
 */
export function mergeMember(header: TarHeader, extensions: Extensions): Member {
  const { pax } = extensions
  const sparse = sparseSource(header, pax)
  const path = memberPath(header, extensions, sparse)
  const type = memberType(header, path)
  if (sparse !== 'none' && type !== 'file') throw invalid(path, 'is sparse but no file')
  const stored = type === 'file' ? numeric(pax, 'size', header.size, Number.MAX_SAFE_INTEGER) : 0
  const isDevice = type === 'character' || type === 'block'
  const device = isDevice ? parseDevice(header) : { major: 0, minor: 0 }
  const entry: TarEntry = {
    path,
    type,
    mode: header.mode,
    uid: numeric(pax, 'uid', header.uid, ID_LIMIT),
    gid: numeric(pax, 'gid', header.gid, ID_LIMIT),
    size: sparse === 'none' ? stored : realSize(header, pax, stored),
    mtime: memberTime(header, pax),
    linkPath: type === 'symlink' || type === 'hardlink' ? linkPath(header, extensions) : undefined,
    devMajor: device.major,
    devMinor: device.minor,
    xattrs: memberXattrs(pax),
    sparse: sparse === 'list' ? parseSparseList(pax.get('GNU.sparse.map') ?? EMPTY) : undefined,
    dataOffset: 0,
    storedSize: stored,
  }
  return { entry, sparse }
}

const EMPTY = Buffer.alloc(0)

function sparseSource(header: TarHeader, pax: ReadonlyMap<string, Buffer>): SparseSource {
  if (header.typeflag === 'S') {
    if (header.format !== 'gnu') throw invalid(header.path, 'is GNU sparse in another format')
    return 'old'
  }
  const version = `${text(pax, 'GNU.sparse.major')}.${text(pax, 'GNU.sparse.minor')}`
  if (version === '1.0') return 'inline'
  if (version !== '.' && version !== '0.0' && version !== '0.1') {
    throw invalid(header.path, 'has an unknown sparse format')
  }
  if (pax.has('GNU.sparse.map')) return 'list'
  // An empty map is an empty value and so absent: the file is one hole.
  return pax.has('GNU.sparse.size') || version !== '.' ? 'list' : 'none'
}

function text(pax: ReadonlyMap<string, Buffer>, key: string): string {
  return pax.get(key)?.toString('latin1') ?? ''
}

function memberPath(header: TarHeader, extensions: Extensions, sparse: SparseSource): Buffer {
  const { pax, longPath } = extensions
  const sparseName = pax.get('GNU.sparse.name')
  if (sparseName !== undefined && (sparse === 'list' || sparse === 'inline')) {
    return parsePaxName('GNU.sparse.name', sparseName)
  }
  const name = pax.get('path')
  const paxName = name === undefined ? undefined : parsePaxName('path', name)
  return longPath ?? paxName ?? header.path
}

function linkPath(header: TarHeader, { pax, longLink }: Extensions): Buffer {
  const name = pax.get('linkpath')
  const paxName = name === undefined ? undefined : parsePaxName('linkpath', name)
  return longLink ?? paxName ?? header.linkPath
}

function memberType(header: TarHeader, path: Buffer): TarEntryType {
  const type = TYPES[header.typeflag]
  if (type === undefined) {
    throw invalid(path, `has the unsupported type ${JSON.stringify(header.typeflag)}`)
  }
  // Before ustar, a directory was a file with a slash at the end of its name.
  return header.typeflag === '\0' && path.at(-1) === 0x2f ? 'directory' : type
}

function numeric(
  pax: ReadonlyMap<string, Buffer>,
  key: string,
  fallback: number,
  limit: number,
): number {
  const value = pax.get(key)
  const number = value === undefined ? fallback : parsePaxNumber(key, value)
  if (number <= limit) return number
  throw new DrayError('TAR_INVALID', `invalid tar archive: ${key} is not a number in range`)
}

function realSize(header: TarHeader, pax: ReadonlyMap<string, Buffer>, stored: number): number {
  for (const key of ['GNU.sparse.size', 'GNU.sparse.realsize']) {
    if (pax.has(key)) return numeric(pax, key, 0, Number.MAX_SAFE_INTEGER)
  }
  return header.typeflag === 'S' ? natural(header.block, 483, 12, 'sparse size') : stored
}

function memberTime(header: TarHeader, pax: ReadonlyMap<string, Buffer>): TarTime {
  const value = pax.get('mtime')
  if (value !== undefined) return parsePaxTime('mtime', value)
  return { seconds: header.mtimeSeconds, nanoseconds: 0 }
}

function memberXattrs(pax: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  let xattrs: Map<string, Buffer> | undefined
  for (const [key, value] of pax) {
    if (!key.startsWith(XATTR_PREFIX)) continue
    xattrs ??= new Map()
    xattrs.set(key.slice(XATTR_PREFIX.length), value)
  }
  return xattrs ?? NO_XATTRS
}

function invalid(path: Buffer, what: string): DrayError {
  return new DrayError('TAR_INVALID', `invalid tar archive: ${printable(path)} ${what}`)
}
