import { closeSync, fstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { tryLock } from '../sys.ts'

/** An exclusive lock on a file. The kernel lets go of it when the process ends, however it ends. */
export interface FileLock {
  release(): void
}

const FIRST_WAIT_MS = 5
const LONGEST_WAIT_MS = 200

export interface LockOptions {
  readonly signal?: AbortSignal | undefined
  /** Called each time that another one is found to have the lock. */
  readonly onWait?: (() => void) | undefined
}

/**
 * Takes the lock of `path`, which is made with its directory if it isn't there, waiting for whoever has it.
 *
 * @throws STORE_FAILED where nothing may be written
 */
export async function lockFile(
  path: string,
  { signal, onWait }: LockOptions = {},
): Promise<FileLock> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    signal?.throwIfAborted()
    const lock = takeOnce(path)
    if (lock !== undefined) return lock
    onWait?.()
    await sleep(wait, undefined, { signal })
  }
}

function takeOnce(path: string): FileLock | undefined {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return tryLockFile(path)
  } catch (cause) {
    if (!isErrno(cause, 'EROFS', 'EACCES')) throw cause
    const message = `cannot write to ${dirname(path)} (${errorMessage(cause)}): make it writable, or choose another store with --root`
    throw new DrayError('STORE_FAILED', message, { cause })
  }
}

/** Takes the lock of `path` if nobody has it. */
export function tryLockFile(path: string): FileLock | undefined {
  const fd = openOrMissing(path)
  if (fd === undefined) return undefined
  let isOurs = false
  try {
    isOurs = tryLock(fd, 'exclusive') && isStill(path, fd)
  } finally {
    if (!isOurs) closeSync(fd)
  }
  return isOurs ? { release: () => closeSync(fd) } : undefined
}

function openOrMissing(path: string): number | undefined {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** The file may have been removed by the one who had the lock before. */
function isStill(path: string, fd: number): boolean {
  try {
    return statSync(path).ino === fstatSync(fd).ino
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
