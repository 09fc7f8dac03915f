import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '#oci/error.ts'
import type { StoreLayout } from './layout.ts'
import { tryLockFile } from './lock.ts'

/** How long an ingest that nobody goes on with is kept, in ms. */
const STALE_AFTER_MS = 7 * 24 * 60 * 60 * 1000

/** Removes what pulls left that were never repeated. An ingest that a process has open stays, whatever its age. */
export async function removeStaleIngests(layout: StoreLayout, now = Date.now()): Promise<void> {
  for (const dir of await listIngests(layout)) {
    const { mtimeMs } = await stat(join(dir, 'ranges')).catch(() => stat(dir))
    if (now - mtimeMs >= STALE_AFTER_MS) await removeFreeIngest(dir)
  }
}

/** Removes the directory of an ingest, if there is one and no process has it open. */
export async function removeFreeIngest(dir: string): Promise<void> {
  const lock = tryLockFile(join(dir, 'lock'))
  if (lock === undefined) return
  await rm(dir, { recursive: true, force: true })
  lock.release()
}

async function listIngests(layout: StoreLayout): Promise<string[]> {
  try {
    return (await readdir(layout.ingests)).map((name) => join(layout.ingests, name))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
