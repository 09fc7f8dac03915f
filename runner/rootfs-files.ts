import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'
import { O_PATH, openat2, RESOLVE } from './sys.ts'

/**
 * Files of a root file system that somebody else made: its symlinks mean what they mean inside, and none of them leads
 * out. Nothing else may change the tree meanwhile.
 */

const IN_ROOT = RESOLVE.inRoot | RESOLVE.noMagiclinks
const DIRECTORY = O_PATH | constants.O_DIRECTORY

/**
 * The text of a file; undefined when the path leads to nothing, or to anything but a regular file.
 *
 * @throws RUN_FAILED when it has more than `maxBytes`
 */
export function readTextInRoot(root: string, path: string, maxBytes: number): string | undefined {
  return inRoot(root, (dir) => {
    // Not to wait for the other end of a fifo.
    const fd = openIfThere(dir, path, constants.O_RDONLY | constants.O_NONBLOCK)
    if (fd === undefined) return undefined
    return using(fd, () => {
      if (!fstatSync(fd).isFile()) return undefined
      const bytes = readUpTo(fd, maxBytes + 1)
      if (bytes.length <= maxBytes) return bytes.toString('utf8')
      throw new DrayError('RUN_FAILED', `${path} of the image has more than ${maxBytes} bytes`)
    })
  })
}

/** Where a path leads inside, free of links: absolute, as seen inside. Undefined when it leads nowhere. */
export function resolveInRoot(root: string, path: string): string | undefined {
  return inRoot(root, (dir) => {
    const fd = openIfThere(dir, path, O_PATH)
    return fd === undefined ? undefined : using(fd, () => pathInside(dir, fd))
  })
}

/**
 * Makes a directory and its parents, each owned by root with mode 0755, unless they are there.
 *
 * @param mode of the directory itself
 *
 * @returns where it is, as {@link resolveInRoot} says it
 * @throws RUN_FAILED when something else is in the way
 */
export function makeDirectoryInRoot(root: string, path: string, mode = 0o755): string {
  return inRoot(root, (dir) => {
    const names = path.split('/').filter((name) => name !== '' && name !== '.')
    const walk = (at: number, depth: number): string => {
      const name = names[depth]
      if (name === undefined) return pathInside(dir, at)
      const prefix = names.slice(0, depth + 1).join('/')
      const isLast = depth === names.length - 1
      const fd =
        openIfThere(dir, prefix, DIRECTORY) ??
        makeDirectory(dir, at, { name, prefix, mode: isLast ? mode : 0o755 })
      return using(fd, () => walk(fd, depth + 1))
    }
    return walk(dir, 0)
  })
}

interface NewDirectory {
  readonly name: string
  /** Where it is in the root. */
  readonly prefix: string
  readonly mode: number
}

function makeDirectory(dir: number, parent: number, { name, prefix, mode }: NewDirectory): number {
  try {
    // The parent is open, and mkdir follows no link in the last name.
    const made = `/proc/self/fd/${parent}/${name}`
    mkdirSync(made, mode)
    chmodSync(made, mode) // whatever the umask
    return openat2(dir, prefix, DIRECTORY, IN_ROOT)
  } catch (error) {
    const errno = errnoOf(error) ?? 'unknown error'
    const why = errno === 'EEXIST' ? 'a file is there' : errno
    throw new DrayError('RUN_FAILED', `cannot make the directory /${prefix} in the image: ${why}`, {
      cause: error,
    })
  }
}

function inRoot<T>(root: string, work: (dir: number) => T): T {
  const dir = openSync(root, DIRECTORY)
  return using(dir, () => work(dir))
}

function using<T>(fd: number, work: () => T): T {
  try {
    return work()
  } finally {
    closeSync(fd)
  }
}

const NOWHERE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ENAMETOOLONG']

function openIfThere(dir: number, path: string, flags: number): number | undefined {
  try {
    return openat2(dir, path, flags, IN_ROOT)
  } catch (error) {
    if (NOWHERE.includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

function pathInside(dir: number, fd: number): string {
  const root = readlinkSync(`/proc/self/fd/${dir}`)
  const path = readlinkSync(`/proc/self/fd/${fd}`)
  return path === root ? '/' : path.slice(root.length)
}

function readUpTo(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let length = 0
  for (;;) {
    const count = readSync(fd, bytes, length, size - length, null)
    length += count
    if (count === 0 || length === size) return bytes.subarray(0, length)
  }
}
