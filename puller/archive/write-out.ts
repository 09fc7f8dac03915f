import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'

/**
 * Writes an archive to a stream, a device, a pipe, or to a file, which appears whole or not at all.
 *
 * @throws USAGE when the target can't be written to, and what reading the archive throws
 */
export async function writeOut(
  archive: AsyncIterable<Buffer>,
  target: string | NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<void> {
  if (typeof target !== 'string') return await pipeline(archive, target, { signal, end: false })
  if (!(await isFileOrNothing(target))) {
    return await pipeline(archive, createWriteStream(target), { signal }).catch(cannotWrite(target))
  }
  await replaceBy(target, archive, signal)
}

/** A device or a pipe is written to; anything else is replaced. */
async function isFileOrNothing(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true
    throw cannotWrite(path)(error)
  }
}

/** Puts a file in the place of another one, whole. @throws USAGE when it can't be written */
export async function replaceBy(
  path: string,
  bytes: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await pipeline(bytes, createWriteStream(temporary, { flags: 'wx', flush: true }), { signal })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    signal.throwIfAborted()
    throw cannotWrite(path)(error)
  }
}

/** Makes a failure to write one that says where. */
export function cannotWrite(path: string): (error: unknown) => never {
  return (error) => {
    if (isDrayError(error)) throw error
    const why = isErrno(error, 'ENOENT')
      ? `there is no directory ${dirname(path)}`
      : errorMessage(error)
    throw new DrayError('USAGE', `cannot write ${path}: ${why}`, { cause: error })
  }
}
