import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseDigest } from '#oci/digest.ts'
import { isErrno } from '#oci/error.ts'
import { addContents, type Contents, KINDS, noContents, type SomeContents } from './contents.ts'
import { namesIn } from './files.ts'
import type { StoreLayout } from './layout.ts'
import { lockFile, tryLockFile } from './lock.ts'

/**
 * What somebody is at work with: as long as the lease is open, none of it is garbage. So whoever leases something first and looks
 * whether it is there then may rely on the answer. A lease ends with its process, however that ends.
 */
export interface Lease {
  /** Takes more into the lease, whether it is in the store already or not. */
  keep(contents: SomeContents): Promise<void>
  close(): void
}

/** Nothing becomes garbage where nobody can write. */
const NEEDLESS: Lease = { keep: async () => undefined, close: () => undefined }

/** Opens a lease, of nothing yet. */
export async function openLease(layout: StoreLayout): Promise<Lease> {
  const path = join(layout.leases, crypto.randomUUID())
  const own = await lockFile(path).catch((error: Error) => {
    if (isErrno(error.cause, 'EROFS')) return undefined
    throw error
  })
  if (own === undefined) return NEEDLESS
  return {
    async keep(contents) {
      const lines = KINDS.flatMap((kind) =>
        [...(contents[kind] ?? [])].map((digest) => `${kind} ${digest}\n`),
      )
      const lock = await lockFile(layout.lock)
      try {
        appendFileSync(path, lines.join(''))
      } finally {
        lock.release()
      }
    },
    close() {
      try {
        rmSync(path, { force: true })
      } finally {
        own.release()
      }
    },
  }
}

/** All that is leased. The caller holds the lock of the store. */
export async function readLeases(layout: StoreLayout): Promise<Contents> {
  const contents = noContents()
  for (const path of await removeDeadLeases(layout)) addContents(contents, readLease(path))
  return contents
}

/** Removes leases whose processes are dead. @returns where the others are */
export async function removeDeadLeases(layout: StoreLayout): Promise<string[]> {
  const alive: string[] = []
  for (const name of await namesIn(layout.leases)) {
    const path = join(layout.leases, name)
    const dead = tryLockFile(path)
    if (dead === undefined) alive.push(path)
    else rmSync(path, { force: true })
    dead?.release()
  }
  return alive
}

/** One that is gone by now is done. */
function readLease(path: string): SomeContents {
  const contents = noContents()
  try {
    for (const [, kind, digest] of readFileSync(path, 'latin1').matchAll(/^([a-z]+) (.+)\n/gm)) {
      for (const known of KINDS) if (known === kind) contents[known].add(parseDigest(digest))
    }
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
  return contents
}
