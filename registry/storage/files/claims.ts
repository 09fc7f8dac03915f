import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, readFile, rename, stat, truncate } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isErrno } from '#oci/error.ts'
import type { UploadKey } from '../blob-driver.ts'
import { outOfOrder, uploadUnknown } from '../errors.ts'
import type { FilesLayout } from './layout.ts'

/** The right of one request to change an upload's file, until it renames it to something else. */
export interface Claim {
  readonly path: string
  readonly size: number
}

/** What the name of an upload's file says. */
export interface Standing {
  readonly name: string
  readonly size: number
  /** Whether a living process has claimed it. */
  readonly isClaimed: boolean
}

const RENAME_ATTEMPTS = 5

/**
 * Takes the upload's file for the caller alone, by renaming it: of several takers, in any process, the rename of one
 * succeeds.
 *
 * @throws UPLOAD_OUT_OF_ORDER, BLOB_UPLOAD_UNKNOWN
 */
export async function claimUpload(
  layout: FilesLayout,
  key: UploadKey,
  offset: number,
): Promise<Claim> {
  const standing = await uploadStanding(layout, key)
  if (standing === undefined) throw uploadUnknown()
  if (standing.isClaimed) throw outOfOrder(offset, undefined)
  if (standing.size !== offset) throw outOfOrder(offset, standing.size)
  const nonce = randomBytes(6).toString('hex')
  const path = layout.uploadFile(key, `${offset}.${process.pid}-${startTime(process.pid)}-${nonce}`)
  if (!(await renamed(layout.uploadFile(key, standing.name), path))) {
    throw outOfOrder(offset, undefined)
  }
  const { size } = await stat(path)
  // A write that failed may have left more than was counted.
  if (size > offset) await truncate(path, offset)
  if (size >= offset) return { path, size: offset }
  // A power failure took bytes that were acknowledged: go on from what there is.
  await releaseClaim(layout, key, path, size)
  throw outOfOrder(offset, size)
}

/** Gives an upload's file back at the size that it has now. @throws BLOB_UPLOAD_UNKNOWN when it was ended meanwhile */
export async function releaseClaim(
  layout: FilesLayout,
  key: UploadKey,
  path: string,
  size: number,
): Promise<void> {
  if (!(await renamed(path, layout.uploadFile(key, String(size))))) throw uploadUnknown()
}

/**
 * How an upload stands; a claim whose process is dead is taken back first, and so is a size of which a power failure took bytes.
 * Undefined when there is no such upload.
 */
export async function uploadStanding(
  layout: FilesLayout,
  key: UploadKey,
): Promise<Standing | undefined> {
  for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt++) {
    const name = await onlyFile(layout.upload(key))
    if (name === undefined) return undefined
    const [size = '', holder] = name.split('.')
    if (holder === undefined) {
      const standing = { name, size: Number(size), isClaimed: false }
      if (!(await isShorter(layout.uploadFile(key, name), standing.size))) return standing
    } else if (await isAlive(holder)) return { name, size: Number(size), isClaimed: true }
    await takeBack(layout, key, name)
  }
  return undefined
}

async function isShorter(path: string, size: number): Promise<boolean> {
  try {
    return (await stat(path)).size < size
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function takeBack(layout: FilesLayout, key: UploadKey, name: string): Promise<void> {
  const path = layout.uploadFile(key, name)
  try {
    const { size } = await stat(path)
    await renamed(path, layout.uploadFile(key, String(size)))
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

/** An upload's directory holds one file at any time; a listing taken during a rename may miss both names. */
async function onlyFile(dir: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt++) {
    try {
      const [name] = await readdir(dir)
      if (name !== undefined) return name
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
    await sleep(2)
  }
  return undefined
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

/** A process number alone may have been given to another process since, so the time it started is part of a claim. */
async function isAlive(holder: string): Promise<boolean> {
  const [pid = '', start] = holder.split('-')
  try {
    return fieldStartTime(await readFile(`/proc/${pid}/stat`, 'latin1')) === start
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return false
    throw error
  }
}

function startTime(pid: number): string {
  return fieldStartTime(readFileSync(`/proc/${pid}/stat`, 'latin1'))
}

/** Field 22 of proc_pid_stat(5), counted behind the command name, which may hold spaces and parentheses. */
function fieldStartTime(line: string): string {
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
