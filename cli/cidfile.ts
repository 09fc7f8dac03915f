import { writeFile } from 'node:fs/promises'
import { DrayError, errorMessage } from '#oci/error.ts'

/** Writes a container's id to a file that must not be there yet, if one is named. @throws USAGE */
export async function writeIdFile(path: string | undefined, id: string): Promise<void> {
  if (path === undefined) return
  try {
    await writeFile(path, id, { flag: 'wx' })
  } catch (cause) {
    throw new DrayError('USAGE', `cannot write ${path}: ${errorMessage(cause)}`, { cause })
  }
}
