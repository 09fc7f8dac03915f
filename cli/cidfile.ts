import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'

/** Before there is a container whose id it could not hold. @throws USAGE */
export function checkIdFile(path: string | undefined): void {
  if (path !== undefined && existsSync(path)) {
    throw new DrayError('USAGE', `${path} is there already, of another container: remove it first`)
  }
}

/** Writes a container's id to a file that must not be there yet, if one is named. @throws USAGE */
export async function writeIdFile(path: string | undefined, id: string): Promise<void> {
  if (path === undefined) return
  try {
    await writeFile(path, id, { flag: 'wx' })
  } catch (cause) {
    throw new DrayError('USAGE', `cannot write ${path}: ${errorMessage(cause)}`, { cause })
  }
}

/** The id that {@link writeIdFile} wrote. Undefined, if that is allowed, where there is no file. @throws USAGE */
export async function readIdFile(path: string, mayMiss: boolean): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    if (mayMiss && isErrno(cause, 'ENOENT')) return undefined
    throw new DrayError('USAGE', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
}
