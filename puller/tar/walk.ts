import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { getXattr, listXattrs } from '../sys.ts'
import { emptyFile, type EntryHead, NO_XATTRS } from './encode.ts'
import { type Owner, printable, type TarEntryType, timeFromNs } from './entry.ts'
import { isPortableXattr, opaqueXattr } from './xattr-names.ts'

/** A file of a tree on its way into an archive. */
export interface WalkedFile {
  readonly head: EntryHead
  /** Where it is, until the next file is asked for. */
  readonly source: Buffer
}

/** What is walked, and how. */
export interface WalkOptions {
  /**
   * What the archive is for. `layer`, the default: files that a layer can't hold are refused. `changes`: the upper directory of
   * an overlay, whose whiteouts and opaque directories get the names that they have in layers. `files`: anything goes.
   */
  readonly purpose?: 'layer' | 'changes' | 'files'
  /** The path that the first file gets; empty, as by default, for `./`. Then it must be a directory. */
  readonly as?: Buffer
  /** Whether somebody may change the tree meanwhile: files that are gone are left out. */
  readonly isLive?: boolean
  /** Whose a file is in the archive; default: whose it is. */
  readonly owner?: ((stored: Owner) => Owner) | undefined
  /** Paths to leave out, with what is below them. */
  readonly leaveOut?: ReadonlySet<string>
}

/**
 * The files under a directory, in an order that depends on names only: a directory, then what it holds, names by their bytes.
 *
 * The directory itself comes first, as `./`; all others are named relative to it, directories with a slash at the end. A file
 * met under a second name becomes a hard link to the first. Sockets are left out. Other file systems mounted inside are included,
 * except that of `proc`, `sys` and `dev` at the top only the directory is, if they are mounts.
 *
 * No symlink is followed, also not one that somebody puts in the place of a directory meanwhile: each directory is opened
 * in the one that holds it, and stays open as long as its files are walked.
 *
 * @throws LAYER_INVALID for a file that a layer can't hold (a name beginning with `.wh.`, overlay's whiteout device);
 *   SYSCALL_FAILED and errors of `node:fs` for one that can't be read
 */
export function* walkTree(root: string | Buffer, options: WalkOptions = {}): Generator<WalkedFile> {
  const { as = EMPTY, purpose = 'layer', leaveOut = NOTHING } = options
  const firstNames = new Map<string, Buffer>()
  const open: number[] = []
  const pending: (Spot | 'end')[] = [{ source: Buffer.from(root), path: as, device: undefined }]
  try {
    for (let spot = pending.pop(); spot !== undefined; spot = pending.pop()) {
      if (spot === 'end') {
        closeSync(open.pop() ?? -1)
        continue
      }
      if (leaveOut.has(spot.path.toString('latin1'))) continue
      const stats = lstatSync(spot.source, { bigint: true, throwIfNoEntry: !options.isLive })
      const type = stats === undefined ? undefined : typeOf(stats)
      if (spot.path.length === 0 && type !== 'directory') throw invalid(spot, 'is not a directory')
      if (stats === undefined || type === undefined) continue
      yield {
        head: describe(spot, stats, type, { firstNames, purpose, owner: options.owner }),
        source: spot.source,
      }
      if (type !== 'directory' || isSystemMount(spot, stats, as)) continue
      const fd = openSync(spot.source, DIRECTORY)
      open.push(fd)
      if (purpose === 'changes' && isOpaque(spot)) yield opaqueMark(spot)
      pending.push('end', ...children(spot, fd, stats))
    }
  } finally {
    for (const fd of open) closeSync(fd)
  }
}

interface Spot {
  readonly source: Buffer
  /** Relative to the root; empty for the root. */
  readonly path: Buffer
  /** Device number of the directory that holds it. */
  readonly device: bigint | undefined
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
const EMPTY = Buffer.alloc(0)
const SLASH = Buffer.from('/')
const NOTHING: ReadonlySet<string> = new Set()
const SYSTEM_MOUNTS = ['proc', 'sys', 'dev']
const WHITEOUT = '.wh.'

/** Last name first, so that popping gives them in order. */
function children(spot: Spot, fd: number, stats: BigIntStats): Spot[] {
  const dir = Buffer.from(`/proc/self/fd/${fd}/`)
  return readdirSync(dir, { encoding: 'buffer' })
    .sort((a, b) => Buffer.compare(b, a))
    .map((name) => ({
      source: Buffer.concat([dir, name]),
      path: childPath(spot, name),
      device: stats.dev,
    }))
}

function childPath({ path }: Pick<Spot, 'path'>, name: Buffer): Buffer {
  return path.length === 0 ? name : Buffer.concat([path, SLASH, name])
}

/** Whether an upper directory of overlay hides what is below it: it took the place of something, or was emptied. */
function isOpaque({ source }: Spot): boolean {
  return getXattr(source, opaqueXattr(!isInUserNamespace()))?.toString('latin1') === 'y'
}

function opaqueMark(spot: Spot): WalkedFile {
  return { head: emptyFile(childPath(spot, Buffer.from('.wh..wh..opq'))), source: spot.source }
}

function describe(
  spot: Spot,
  stats: BigIntStats,
  type: TarEntryType,
  context: {
    readonly firstNames: Map<string, Buffer>
    readonly purpose: WalkOptions['purpose']
    readonly owner: WalkOptions['owner']
  },
): EntryHead {
  const { firstNames, purpose } = context
  const slash = spot.path.lastIndexOf(0x2f)
  const name = spot.path.subarray(slash + 1)
  if (purpose !== 'files' && name.toString('latin1').startsWith(WHITEOUT)) {
    throw invalid(spot, 'has a name that layers keep for whiteouts')
  }
  if (purpose !== 'files' && type === 'character' && stats.rdev === 0n) {
    if (purpose !== 'changes') throw invalid(spot, 'is a whiteout of overlay')
    const dir = spot.path.subarray(0, slash + 1)
    return emptyFile(Buffer.concat([dir, Buffer.from(WHITEOUT), name]))
  }
  const stored = { uid: Number(stats.uid), gid: Number(stats.gid) }
  const head: EntryHead = {
    ...emptyFile(type === 'directory' ? directoryName(spot.path) : spot.path),
    type,
    mode: Number(stats.mode & 0o7777n),
    ...(context.owner?.(stored) ?? stored),
    size: type === 'file' ? Number(stats.size) : 0,
    mtime: timeFromNs(stats.mtimeNs),
  }
  const first = type === 'directory' ? undefined : firstName(spot, stats, firstNames)
  if (first !== undefined) return { ...head, type: 'hardlink', size: 0, linkPath: first }
  const xattrs = portableXattrs(spot.source)
  if (type === 'symlink') {
    return { ...head, xattrs, linkPath: readlinkSync(spot.source, { encoding: 'buffer' }) }
  }
  if (type !== 'character' && type !== 'block') return { ...head, xattrs }
  return { ...head, xattrs, ...deviceOf(stats.rdev) }
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

function isSystemMount(spot: Spot, stats: BigIntStats, top: Buffer): boolean {
  if (spot.device === undefined || spot.device === stats.dev) return false
  return SYSTEM_MOUNTS.some((name) => childPath({ path: top }, Buffer.from(name)).equals(spot.path))
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
  const path = spot.path.length === 0 ? spot.source : spot.path
  return new DrayError('LAYER_INVALID', `${printable(path)} ${what}`)
}
