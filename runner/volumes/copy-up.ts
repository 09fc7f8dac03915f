import { execFile } from 'node:child_process'
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'

const run = promisify(execFile)

/**
 * Fills an empty volume with what the image has at its place, owners and modes included. Of several containers that do so at
 * once, one wins, whole. Nothing runs in the container yet, so nothing changes what is copied.
 *
 * @param from a directory of a mounted root file system, free of links
 */
export async function copyUp(from: string, volume: string): Promise<void> {
  if ((await readdir(volume)).length > 0) return
  const copy = join(dirname(volume), `.${basename(volume)}-${crypto.randomUUID()}`)
  try {
    await run('cp', ['-aT', '--', from, copy])
    await run('sync', ['-f', copy]) // or a power cut leaves files without content, which nobody copies again
    await rename(copy, volume)
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return
    const message = `cannot copy what the image has at a volume's place: ${errorMessage(error)}`
    throw new DrayError('RUN_FAILED', message, { cause: error })
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}
