import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DrayError, isErrno } from './error.ts'

/**
 * Makes a directory, and those above it. Node's own way of doing that never ends where mkdir(2) says that a directory isn't there
 * which is, as in /proc, or in a working directory that is gone.
 *
 * @param mode of those that are made, as for mkdir(2)
 * @throws STORE_FAILED where there is something else, and errors of `node:fs`
 */
export function makeDirs(path: string, mode = 0o777): void {
  if (isDirectory(path)) return
  if (path !== dirname(path)) makeDirs(dirname(path), mode)
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    if (!isDirectory(path))
      throw new DrayError('STORE_FAILED', `${path} is no directory`, { cause: error })
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
