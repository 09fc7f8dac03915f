import { rm, rmdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { makeDirs } from '#oci/make-dirs.ts'
import { lockFile } from './lock.ts'
import { openStore, type Store } from './store.ts'

/** An OCI image layout that images can be brought into. */
export interface LayoutStore {
  readonly store: Store
  /** Leaves nothing but the layout, unless there is something that a later copy can go on from. */
  close(): Promise<void>
}

/** Opens the OCI image layout in `dir`, making it if it isn't there. What is half-made is in `.dray`. @throws STORE_FAILED */
export async function openLayoutStore(dir: string): Promise<LayoutStore> {
  const content = resolve(dir)
  // Unlike a store, it is there for everybody.
  try {
    makeDirs(join(content, 'blobs', 'sha256'))
  } catch (error) {
    throw new DrayError('STORE_FAILED', `cannot write to ${dir}: ${errorMessage(error)}`, {
      cause: error,
    })
  }
  const store = await openStore(join(content, '.dray'), { content })
  return { store, close: () => removeScratch(store) }
}

async function removeScratch({ layout }: Store): Promise<void> {
  try {
    await removeIfEmpty(layout.staging)
    await removeIfEmpty(layout.ingests)
    await removeIfEmpty(layout.leases)
    const lock = await lockFile(layout.lock)
    await rm(layout.lock, { force: true })
    lock.release()
    await removeIfEmpty(layout.root)
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY')) throw error
  }
}

async function removeIfEmpty(dir: string): Promise<void> {
  try {
    await rmdir(dir)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}
