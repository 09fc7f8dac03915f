import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, isDigest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { addContents, type Contents, contentsOf, contentsOfDirs, KINDS } from './contents.ts'
import { fileSize, namesIn } from './files.ts'
import { readLayer } from './layers.ts'
import type { StoreLayout } from './layout.ts'
import { readLeases } from './lease.ts'
import { lockFile } from './lock.ts'
import { giveUpReserve, keepReserve } from './reserve.ts'
import type { Store } from './store.ts'

/** Something that is in a store. */
export interface Item {
  readonly kind: keyof Contents
  readonly digest: Digest
  readonly path: string
}

/** What was removed. */
export interface Removed {
  readonly items: readonly Item[]
  readonly bytes: number
}

/** The lower directories of every container there is, whether it runs or not. */
export type DirsInUse = () => Promise<readonly string[]>

/**
 * Removes blobs, unpacked layers, fixups and records that no image, no container and no lease refers to. It is out of
 * sight at once, and takes its time to go after that, when nobody waits for the store any more.
 *
 * @throws CONTENT_MISMATCH, MANIFEST_INVALID when an image doesn't tell what it refers to, and what
 *   `dirsInUse` throws; nothing is removed then
 */
export async function removeGarbage(store: Store, dirsInUse: DirsInUse): Promise<Removed> {
  giveUpReserve(store.layout)
  const stage = await store.stage()
  const lock = await lockFile(store.layout.lock)
  try {
    const needed = await readNeeded(store, dirsInUse)
    const items = (await listItems(store.layout)).filter(
      ({ kind, digest }) => !needed[kind].has(digest),
    )
    let bytes = 0
    if (items.length > 0) await mkdir(stage.dir, { mode: 0o700 })
    for (const [at, item] of items.entries()) {
      bytes += await sizeOfItem(store.layout, item)
      await rename(item.path, join(stage.dir, String(at)))
    }
    return { items, bytes }
  } finally {
    lock.release()
    await stage.close()
    keepReserve(store.layout)
  }
}

/**
 * Leases come first: what one lets go of is an image's, which can't change while the store is locked, or a container's, which is
 * read after it.
 */
async function readNeeded(store: Store, dirsInUse: DirsInUse): Promise<Contents> {
  const needed = await readLeases(store.layout)
  const images = (await store.images()).map(({ descriptor }) => descriptor)
  const ofImages = await contentsOf(store, images)
  addContents(needed, ofImages)
  addContents(needed, contentsOfDirs(store.layout, await dirsInUse()))
  return needed
}

/** Every blob, layer, fixup and record of a store, with what was left half-written of blobs and records. */
export async function listItems(layout: StoreLayout): Promise<Item[]> {
  const dirs = {
    blobs: join(layout.content, 'blobs'),
    layers: layout.layers,
    fixups: layout.fixups,
    compressed: layout.compressed,
  }
  const items: Item[] = []
  for (const kind of KINDS) {
    for (const algorithm of await namesIn(dirs[kind])) {
      for (const name of await namesIn(join(dirs[kind], algorithm))) {
        const digest = `${algorithm}:${name.split('.', 1)[0]}`
        if (isDigest(digest)) items.push({ kind, digest, path: join(dirs[kind], algorithm, name) })
      }
    }
  }
  return items
}

/** Bytes that something takes: of a layer its tar, if it says how many, and of form erofs its metadata. */
export async function sizeOfItem(
  layout: StoreLayout,
  { kind, digest, path }: Item,
): Promise<number> {
  if (kind === 'blobs' || kind === 'compressed') return (await fileSize(path)) ?? 0
  if (kind === 'fixups') return 0
  return tarBytesOf(layout, digest) + ((await fileSize(layout.layer(digest).image)) ?? 0)
}

function tarBytesOf(layout: StoreLayout, diffId: Digest): number {
  try {
    return readLayer(layout, diffId)?.tarBytes ?? 0
  } catch (error) {
    if (isDrayError(error)) return 0
    throw error
  }
}
