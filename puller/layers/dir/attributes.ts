import {
  chmodSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  lutimesSync,
  readFileSync,
} from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { setTimes, setTimesOf, setXattr } from '../../sys.ts'
import type { TarTime } from '../../tar/entry.ts'
import { isOverlayXattr } from '../../tar/xattr-names.ts'
import type { Attributes } from '../tree.ts'

/** Gives inodes their attributes, in the order that loses none: owner, xattrs, mode, time. */
export interface AttributeWriter {
  /** The mode to create a file or directory with, chosen so that often no chmod is needed afterwards. */
  creationMode(attributes: Attributes): number
  toFile(fd: number, path: Buffer, attributes: Attributes): void
  toSymlink(path: Buffer, attributes: Attributes): void
  /** For a directory, device or fifo, never a symlink: chmod(2) would follow it. */
  toPath(path: Buffer, attributes: Attributes): void
  /** Extended attributes left out because the file system or the process can't have them. */
  readonly skippedXattrs: number
}

const PRIVATE = 0o600

/** @param asRoot whether to set owners; without, files belong to the process and unsettable xattrs are left out */
export function createAttributeWriter(asRoot: boolean): AttributeWriter {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  const umask = readUmask()
  let skippedXattrs = 0

  const ownedByUs = (attributes: Attributes) =>
    !asRoot || (attributes.uid === uid && attributes.gid === gid)
  const isSafeAtCreation = ({ mode, xattrs }: Attributes) =>
    (mode & 0o7000) === 0 && (mode & umask) === 0 && xattrs.size === 0
  const setXattrs = (path: Buffer, { xattrs }: Attributes) => {
    for (const [name, value] of xattrs) {
      if (isOverlayXattr(name)) continue
      if (!trySetXattr(path, name, value, asRoot)) skippedXattrs++
    }
  }
  return {
    creationMode: (attributes) => (isSafeAtCreation(attributes) ? attributes.mode : PRIVATE),
    toFile(fd, path, attributes) {
      if (!ownedByUs(attributes)) fchownSync(fd, attributes.uid, attributes.gid)
      if (attributes.xattrs.size > 0) setXattrs(path, attributes)
      if (!isSafeAtCreation(attributes)) fchmodSync(fd, attributes.mode)
      const { mtime } = attributes
      if (isWhole(mtime)) futimesSync(fd, mtime.seconds, mtime.seconds)
      else setTimesOf(fd, mtime.seconds, mtime.nanoseconds)
    },
    toSymlink(path, attributes) {
      if (!ownedByUs(attributes)) lchownSync(path, attributes.uid, attributes.gid)
      if (attributes.xattrs.size > 0) setXattrs(path, attributes)
      setPathTimes(path, attributes.mtime)
    },
    toPath(path, attributes) {
      if (!ownedByUs(attributes)) lchownSync(path, attributes.uid, attributes.gid)
      if (attributes.xattrs.size > 0) setXattrs(path, attributes)
      chmodSync(path, attributes.mode)
      setPathTimes(path, attributes.mtime)
    },
    get skippedXattrs() {
      return skippedXattrs
    },
  }
}

function trySetXattr(path: Buffer, name: string, value: Buffer, asRoot: boolean): boolean {
  try {
    setXattr(path, name, value)
    return true
  } catch (error) {
    const errno = errnoOf(error)
    // user.* is for files and directories only; the other namespaces are for root.
    if (errno === 'ENOTSUP') return false
    if (errno === 'EPERM' && (!asRoot || isInUserNamespace() || name.startsWith('user.')))
      return false
    throw error
  }
}

function setPathTimes(path: Buffer, mtime: TarTime): void {
  if (isWhole(mtime)) lutimesSync(path, mtime.seconds, mtime.seconds)
  else setTimes(path, mtime.seconds, mtime.nanoseconds)
}

// node:fs takes times as doubles, too coarse for nanoseconds, and replaces negative ones by the present.
function isWhole({ seconds, nanoseconds }: TarTime): boolean {
  return nanoseconds === 0 && seconds >= 0
}

// process.umask() sets and restores the umask of the whole process, which other threads would notice.
function readUmask(): number {
  const match = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))
  return Number.parseInt(match?.[1] ?? '777', 8)
}
