import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '#oci/error.ts'
import { namesIn } from './files.ts'
import type { StoreLayout } from './layout.ts'
import { tryLockFile } from './lock.ts'

/** How long an ingest that nobody goes on with is kept, in ms. */
const STALE_AFTER_MS = 7 * 24 * 60 * 60 * 1000

/** Removes what pulls left that were never repeated. An ingest that a process has open stays, whatever its age. */
export async function removeStaleIngests(layout: StoreLayout, now = Date.now()): Promise<void> {
  for (const name of await namesIn(layout.ingests)) {
    const dir = join(layout.ingests, name)
    const changedAt = (await lastChange(join(dir, 'ranges'))) ?? (await lastChange(dir)) ?? now
    if (now - changedAt >= STALE_AFTER_MS) await removeFreeIngest(dir)
  }
}

/** Undefined when there is nothing, as when another process is done with an ingest. */
async function lastChange(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** What pulls left unfinished, or are at work on. */
export interface IngestUsage {
  readonly count: number
  readonly bytes: number
  /** How many a process has open, and their bytes. */
  readonly open: { readonly count: number; readonly bytes: number }
}

/** What all ingests take on the disk. */
export async function measureIngests(layout: StoreLayout): Promise<IngestUsage> {
  const all = { count: 0, bytes: 0 }
  const open = { count: 0, bytes: 0 }
  for (const name of await namesIn(layout.ingests)) {
    const dir = join(layout.ingests, name)
    const { blocks } = await stat(join(dir, 'data')).catch(() => ({ blocks: 0 }))
    const lock = tryLockFile(join(dir, 'lock'))
    lock?.release()
    for (const sum of lock === undefined ? [all, open] : [all]) {
      sum.count++
      sum.bytes += blocks * BLOCK_SIZE
    }
  }
  return { ...all, open }
}

/** Removes what pulls left unfinished, whatever its age. */
export async function removeFreeIngests(layout: StoreLayout): Promise<void> {
  for (const name of await namesIn(layout.ingests))
    await removeFreeIngest(join(layout.ingests, name))
}

/** Removes the directory of an ingest, if there is one and no process has it open. */
export async function removeFreeIngest(dir: string): Promise<void> {
  const lock = tryLockFile(join(dir, 'lock'))
  if (lock === undefined) return
  await rm(dir, { recursive: true, force: true })
  lock.release()
}

const BLOCK_SIZE = 512 // of stat(2)
