import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { getXattr, listXattrs } from '../sys.ts'
import type { EntryHead } from './encode.ts'
import { printable, type TarEntryType, timeFromNs } from './entry.ts'
import { isPortableXattr } from './xattr-names.ts'

/** A file of a tree on its way into an archive. */
export interface WalkedFile {
  readonly head: EntryHead
  /** Where it is on the host. */
  readonly source: Buffer
}

/**
 * The files under a directory, in an order that depends on names only: a directory, then what it holds, names by their bytes.
 *
 * The directory itself comes first, as `./`; all others are named relative to it, directories with a slash at the end. A file
 * met under a second name becomes a hard link to the first. Sockets are left out. Symlinks are not followed. Other file systems
 * mounted inside are included, except that of `proc`, `sys` and `dev` at the top only the directory is, if they are mounts.
 *
 * @throws LAYER_INVALID for a file that a layer can't hold (a name beginning with `.wh.`, overlay's whiteout device);
 *   SYSCALL_FAILED and errors of `node:fs` for one that can't be read
 */
export function* walkTree(root: string | Buffer): Generator<WalkedFile> {
  const firstNames = new Map<string, Buffer>()
  const pending: Spot[] = [{ source: Buffer.from(root), path: EMPTY, device: undefined }]
  for (let spot = pending.pop(); spot !== undefined; spot = pending.pop()) {
    const stats = lstatSync(spot.source, { bigint: true })
    const type = typeOf(stats)
    if (spot.path.length === 0 && type !== 'directory') throw invalid(spot, 'is not a directory')
    if (type === undefined) continue
    yield { head: describe(spot, stats, type, firstNames), source: spot.source }
    if (type === 'directory' && !isSystemMount(spot, stats)) pending.push(...children(spot, stats))
  }
}

interface Spot {
  readonly source: Buffer
  /** Relative to the root; empty for the root. */
  readonly path: Buffer
  /** Device number of the directory that holds it. */
  readonly device: bigint | undefined
}

const EMPTY = Buffer.alloc(0)
const SLASH = Buffer.from('/')
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()
const SYSTEM_MOUNTS = ['proc', 'sys', 'dev']

/** Last name first, so that popping gives them in order. */
function children(spot: Spot, stats: BigIntStats): Spot[] {
  const names = readdirSync(spot.source, { encoding: 'buffer' })
  return names
    .sort((a, b) => Buffer.compare(b, a))
    .map((name) => ({
      source: Buffer.concat([spot.source, SLASH, name]),
      path: spot.path.length === 0 ? name : Buffer.concat([spot.path, SLASH, name]),
      device: stats.dev,
    }))
}

function describe(
  spot: Spot,
  stats: BigIntStats,
  type: TarEntryType,
  firstNames: Map<string, Buffer>,
): EntryHead {
  const name = spot.path.subarray(spot.path.lastIndexOf(0x2f) + 1)
  if (name.toString('latin1').startsWith('.wh.')) {
    throw invalid(spot, 'has a name that layers keep for whiteouts')
  }
  const head: EntryHead = {
    path: type === 'directory' ? directoryName(spot.path) : spot.path,
    type,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: type === 'file' ? Number(stats.size) : 0,
    mtime: timeFromNs(stats.mtimeNs),
    linkPath: undefined,
    devMajor: 0,
    devMinor: 0,
    xattrs: NO_XATTRS,
  }
  const first = type === 'directory' ? undefined : firstName(spot, stats, firstNames)
  if (first !== undefined) return { ...head, type: 'hardlink', size: 0, linkPath: first }
  const xattrs = portableXattrs(spot.source)
  if (type === 'symlink') {
    return { ...head, xattrs, linkPath: readlinkSync(spot.source, { encoding: 'buffer' }) }
  }
  if (type !== 'character' && type !== 'block') return { ...head, xattrs }
  const device = deviceOf(stats.rdev)
  if (type === 'character' && stats.rdev === 0n) throw invalid(spot, 'is a whiteout of overlay')
  return { ...head, xattrs, ...device }
}

function directoryName(path: Buffer): Buffer {
  return path.length === 0 ? Buffer.from('./') : Buffer.concat([path, SLASH])
}

/** The name under which an inode was met before, if it was. */
function firstName(
  spot: Spot,
  stats: BigIntStats,
  firstNames: Map<string, Buffer>,
): Buffer | undefined {
  if (stats.nlink === 1n) return undefined
  const key = `${stats.dev}:${stats.ino}`
  const first = firstNames.get(key)
  if (first === undefined) firstNames.set(key, spot.path)
  return first
}

function portableXattrs(source: Buffer): ReadonlyMap<string, Buffer> {
  const names = listXattrs(source).filter(isPortableXattr)
  if (names.length === 0) return NO_XATTRS
  return new Map(names.map((name) => [name, getXattr(source, name) ?? EMPTY]))
}

function isSystemMount(spot: Spot, stats: BigIntStats): boolean {
  return (
    spot.device !== undefined &&
    spot.device !== stats.dev &&
    SYSTEM_MOUNTS.includes(spot.path.toString('latin1'))
  )
}

function typeOf(stats: BigIntStats): TarEntryType | undefined {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'character'
  if (stats.isBlockDevice()) return 'block'
  return stats.isFIFO() ? 'fifo' : undefined
}

// The layout of glibc's major(3) and minor(3).
function deviceOf(rdev: bigint): { readonly devMajor: number; readonly devMinor: number } {
  return {
    devMajor: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    devMinor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  }
}

function invalid(spot: Spot, what: string): DrayError {
  return new DrayError('LAYER_INVALID', `${printable(spot.source)} ${what}`)
}
