import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'
import { O_PATH, openat2, RESOLVE } from '../sys.ts'

/** Where a copy comes from or goes to: a path below a root directory, a container's or the host's own. */
export interface End {
  /** Descriptor of the root directory. */
  readonly root: number
  /** Absolute, as typed otherwise: a slash or `/.` at the end has a meaning. */
  readonly path: string
  readonly isContainer: boolean
}

/** What is to be read. The paths go through descriptors, and hold until {@link Source.close}. */
export interface Source {
  /** The file or directory: no symlink that is to be followed. */
  readonly path: string
  /** Whether it is a directory of which only what is in it is meant. */
  readonly isContent: boolean
  readonly isDirectory: boolean
  /** Its own name; empty for the root. */
  readonly name: string
  close(): void
}

/** Where it is to be put. */
export interface Destination {
  /** A directory that is there. */
  readonly dir: string
  /** The name that the source gets; empty for none, when the content of a directory goes into a directory. */
  readonly name: string
  close(): void
}

/**
 * Finds what is to be copied.
 *
 * @param options.followLink whether a symlink stands for what it leads to
 * @throws USAGE when there is nothing
 */
export function openSource(end: End, options: { readonly followLink?: boolean } = {}): Source {
  const isContent = /(?:^|\/)\.$/.test(end.path) || plain(end.path) === '/'
  const mustBeDirectory = isContent || end.path.endsWith('/')
  const follow = options.followLink === true || mustBeDirectory
  const found = lookUp(end, end.path, { follow }) ?? fail(`there is no ${end.path}`)
  const stats = fstatSync(found)
  const isDirectory = stats.isDirectory()
  if (mustBeDirectory && !isDirectory) {
    closeSync(found)
    return fail(`${end.path} is no directory`)
  }
  const name = basename(plain(end.path))
  if (isDirectory) {
    const path = `/proc/self/fd/${found}/.`
    return { path, isContent, isDirectory, name, close: () => closeSync(found) }
  }
  const real = follow ? pathOf(end.root, found) : plain(end.path)
  closeSync(found)
  const dir = lookUp(end, dirname(real), { follow: true }) ?? fail(`there is no ${end.path}`)
  const path = `/proc/self/fd/${dir}/${basename(real)}`
  return { path, isContent, isDirectory, name, close: () => closeSync(dir) }
}

/**
 * Finds where a copy is to be put, by docker's rules: into a directory that is there, under the last name of the path when it
 * isn't, in the place of a file.
 *
 * @throws USAGE when the directory that is to hold it isn't there, or a directory would replace a file
 */
export function openDestination(
  end: End,
  source: Pick<Source, 'isContent' | 'isDirectory' | 'name'>,
): Destination {
  const found = lookUp(end, end.path, { follow: true })
  const endsAsDirectory = /\/\.?$/.test(end.path)
  if (found !== undefined && fstatSync(found).isDirectory()) {
    return placed(found, source.isContent ? '' : source.name)
  }
  if (found !== undefined) {
    const real = pathOf(end.root, found)
    closeSync(found)
    if (source.isDirectory) return fail(`${end.path} is a file, which a directory can't replace`)
    if (endsAsDirectory) return fail(`${end.path} is no directory`)
    return inParent(end, real)
  }
  if (endsAsDirectory && !source.isDirectory) return fail(`there is no directory ${end.path}`)
  return inParent(end, plain(end.path))
}

/** Opens a directory that is to take all that an archive holds. @throws USAGE when there is none */
export function openDirectory(end: End): Destination {
  const found = lookUp(end, end.path, { follow: true }) ?? fail(`there is no ${end.path}`)
  if (fstatSync(found).isDirectory()) return placed(found, '')
  closeSync(found)
  return fail(`${end.path} is no directory`)
}

function inParent(end: End, path: string): Destination {
  const dir = lookUp(end, dirname(path), { follow: true })
  if (dir === undefined) return fail(`there is no directory ${dirname(path)}`)
  if (fstatSync(dir).isDirectory()) return placed(dir, basename(path))
  closeSync(dir)
  return fail(`${dirname(path)} is no directory`)
}

function placed(fd: number, name: string): Destination {
  return { dir: `/proc/self/fd/${fd}/.`, name, close: () => closeSync(fd) }
}

const NOWHERE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']

/** Opens a path below a root, links meaning what they mean below it. @returns a descriptor that the caller closes */
function lookUp(
  { root, isContainer }: End,
  path: string,
  { follow }: { readonly follow: boolean },
): number | undefined {
  const flags = O_PATH | (follow ? 0 : constants.O_NOFOLLOW)
  const resolve = RESOLVE.inRoot | (isContainer ? RESOLVE.noMagiclinks : 0)
  try {
    return openat2(root, path, flags, resolve)
  } catch (error) {
    if (NOWHERE.includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

/** Opens the host's root, for an end on the host. */
export function openHostRoot(): number {
  return openSync('/', O_PATH | constants.O_DIRECTORY)
}

/** Without slashes and dots at the end. */
function plain(path: string): string {
  return join('/', path).replace(/(?<=.)\/$/, '')
}

/** Where an open file is, as seen from a root. What links lead there is gone. */
function pathOf(root: number, fd: number): string {
  const [base, path] = [root, fd].map((each) => readlinkSync(`/proc/self/fd/${each}`))
  return base === '/' || base === undefined ? (path ?? '/') : (path ?? '').slice(base.length) || '/'
}

function fail(message: string): never {
  throw new DrayError('USAGE', `cannot copy: ${message}`)
}
