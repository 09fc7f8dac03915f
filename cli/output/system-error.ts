import { existsSync, realpathSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { DrayError, isDrayError } from '#oci/error.ts'

const DAMAGED_DISK =
  'the disk, or the file system on it, is damaged (dmesg tells more); on another one, or when it is mended, ' +
  'dray system check --repair fetches again what the store has lost'
const ROOM =
  'make room (dray system df tells what takes it, dray system prune removes what nobody uses), and try again'
const GONE = 'the directory that this was called in is gone: cd into one that is there'
const LIMIT = 'too many files are open at once: raise the limit (ulimit -n), or do less at once'

/** What to do about system calls that fail through no fault of the program. */
const ADVICE: Readonly<Record<string, string>> = {
  EIO: DAMAGED_DISK,
  EUCLEAN: DAMAGED_DISK,
  EBADMSG: DAMAGED_DISK,
  ENOSPC: ROOM,
  EDQUOT: ROOM,
  EROFS: 'make it writable, or choose another store with --root',
  ENOMEM: 'the machine has no memory left: end something, and try again',
}

/** Parts of a store that can be fetched or made again. */
const MENDABLE = new Set(['content', 'layers', 'fixups'])
const NOT_AS_LEFT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP'])

/**
 * What to tell the user of an error: what it says, unless it is about something else than its cause is; undefined for a bug.
 *
 * @param root where the store is, if there is one
 */
export function asToldError(error: unknown, root?: string): DrayError | undefined {
  if (isOutOfFiles(error)) return new DrayError('STORE_FAILED', LIMIT, { cause: error })
  return isDrayError(error) ? error : asSystemError(error, root)
}

/** Whatever fails for that looks broken, or not there: registries, files, threads. Only messages tell it from one thread to another. */
function isOutOfFiles(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return /EMFILE|ENFILE|too many open files/.test(error.message) || isOutOfFiles(error.cause)
}

/**
 * The error of a system call that failed because of the machine or of a store that was damaged, with what to do about it; undefined
 * for anything else, which is a bug.
 *
 * @param root where the store is, if there is one
 */
function asSystemError(error: unknown, root?: string): DrayError | undefined {
  if (!(error instanceof Error) || isDrayError(error) || !('syscall' in error)) return undefined
  const { code = '', path, syscall } = error as NodeJS.ErrnoException
  // Whatever makes a whole path of a relative one asks for it, and so do libraries.
  if (syscall === 'uv_cwd') return new DrayError('USAGE', GONE, { cause: error })
  const advice = ADVICE[code] ?? (NOT_AS_LEFT.has(code) ? mend(path, root) : undefined)
  if (advice === undefined) return undefined
  return new DrayError('STORE_FAILED', `${error.message}: ${advice}`, { cause: error })
}

function mend(path: string | undefined, root: string | undefined): string | undefined {
  if (path === undefined || root === undefined || !existsSync(root)) return undefined
  const [part = ''] = relative(realpathSync(root), path).split(sep)
  if (!MENDABLE.has(part)) return undefined
  return 'the store is damaged: dray system check --repair says what is missing, and fetches it again'
}
