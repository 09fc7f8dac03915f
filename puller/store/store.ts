import { mkdirSync, realpathSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { makeDirs } from '#oci/make-dirs.ts'
import type { Inflater } from '../layers/inflater.ts'
import { type BlobFiles, openBlobs, writeSmallBlob } from './blobs.ts'
import { exists } from './files.ts'
import {
  findImage,
  type NamedImage,
  readImageIndex,
  withImage,
  writeImageIndex,
} from './image-index.ts'
import type { LayerFormName } from './layers.ts'
import { type StoreLayout, storeLayout } from './layout.ts'
import { type Lease, openLease, removeDeadLeases } from './lease.ts'
import { type FileLock, lockFile, tryLockFile } from './lock.ts'
import { keepReserve } from './reserve.ts'
import { removeStaleIngests } from './stale-ingests.ts'
import { isUnreadable } from './unreadable.ts'

/** The local store: images by name, their blobs, their unpacked layers. */
export interface Store extends BlobFiles {
  readonly layout: StoreLayout
  /** What inflates the layers that are unpacked into it. */
  readonly inflater: Inflater
  /** The form of the layers that are unpacked into it. */
  readonly layerStore: LayerStore
  /** Whether the layers that are unpacked into it get fs-verity. */
  readonly layerVerity: boolean
  images(): Promise<NamedImage[]>
  /** @throws IMAGE_UNKNOWN */
  find(name: string): Promise<NamedImage>
  /**
   * Gives an image its name, which another image may lose by that: without a name, it stays. Survives power loss once it
   * returns.
   */
  name(image: NamedImage): Promise<void>
  /** Replaces the list of images by another one, which nobody changes meanwhile. Survives power loss once it returns. */
  change(work: (images: readonly NamedImage[]) => Promise<readonly NamedImage[]>): Promise<void>
  /** Opens a lease: what is in it is no garbage. */
  lease(): Promise<Lease>
  /** Adds a small blob. */
  writeSmall(digest: Digest, bytes: Uint8Array): Promise<void>
  /** A fresh directory for half-made things. Left behind by a crash, a later process removes it. */
  stage(): Promise<Stage>
}

/** The form of new layers; `auto` is `erofs` where this process can have it, else `dir`. */
export type LayerStore = LayerFormName | 'auto'

export interface Stage {
  readonly dir: string
  /** Removes it, if it hasn't been moved away. */
  close(): Promise<void>
}

export interface StoreOptions {
  /** Default `auto`. */
  readonly layerStore?: LayerStore | undefined
  /** Whether new layers, which must be of form erofs, get fs-verity: they can't be changed then. Default false. */
  readonly layerVerity?: boolean | undefined
  /** Default `auto`. */
  readonly inflater?: Inflater
  /** Where its OCI image layout is. Default `<root>/content`. */
  readonly content?: string | undefined
}

/** Opens the local store in `root`, making it if it isn't there. @throws STORE_FAILED */
export async function openStore(root: string, options: StoreOptions = {}): Promise<Store> {
  const layout = await openLayout(root, options.content)
  return {
    layout,
    inflater: options.inflater ?? 'auto',
    layerStore: options.layerStore ?? 'auto',
    layerVerity: options.layerVerity ?? false,
    ...openBlobs(layout.content, 'dray system check --repair fetches it again'),
    images: () => readImages(layout),
    find: async (name) => findImage(await readImages(layout), name, `the local store ${root}`),
    name: (image) => changeImages(layout, async (images) => withImage(images, image)),
    change: (work) => changeImages(layout, work),
    lease: () => openLease(layout),
    writeSmall: (digest, bytes) => writeSmallBlob(layout.content, digest, bytes),
    stage: () => makeStage(layout),
  }
}

async function openLayout(root: string, content?: string): Promise<StoreLayout> {
  try {
    makeDirs(root, 0o700)
    const layout = storeLayout(realpathSync(root), content) // as the kernel names mount points
    mkdirSync(layout.staging, { recursive: true, mode: 0o700 })
    if (!(await exists(layout.index))) await writeImageIndex(layout.content, [])
    await removeLeftovers(layout)
    // Nothing is removed from a layout elsewhere, and nothing of ours stays in it.
    if (content === undefined) keepReserve(layout)
    return layout
  } catch (error) {
    throw new DrayError(
      'STORE_FAILED',
      `cannot use ${root}: ${errorMessage(error)}. Choose another with --root`,
      {
        cause: error,
      },
    )
  }
}

/** Removes what processes left that were killed. Where nobody can write it stays, and does no harm. */
async function removeLeftovers(layout: StoreLayout): Promise<void> {
  try {
    await removeDeadStages(layout)
    await removeDeadLeases(layout)
    await removeStaleIngests(layout)
  } catch (error) {
    if (!isErrno(error, 'EROFS')) throw error
  }
}

function readImages({ content }: StoreLayout): Promise<NamedImage[]> {
  return readImageIndex(
    content,
    'move it away and pull the images again, before rmi or prune; what is there is not fetched again',
  )
}

async function changeImages(
  layout: StoreLayout,
  work: (images: readonly NamedImage[]) => Promise<readonly NamedImage[]>,
): Promise<void> {
  const lock = await lockFile(layout.lock)
  try {
    await writeImageIndex(layout.content, await work(await readImages(layout)))
  } finally {
    lock.release()
  }
}

async function makeStage(layout: StoreLayout): Promise<Stage> {
  const dir = join(layout.staging, crypto.randomUUID())
  const lock = await lockFile(stageLock(dir))
  return { dir, close: () => removeStage(dir, lock) }
}

/** The lock stands beside the directory, so that the directory can be moved away. */
function stageLock(dir: string): string {
  return `${dir}.lock`
}

/** What of it can't be read can't be removed either: it stays, and does no harm. */
async function removeStage(dir: string, lock: FileLock): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true }).catch((error: unknown) => {
      if (!isUnreadable(error)) throw error
    })
    await rm(stageLock(dir), { force: true })
  } finally {
    lock.release()
  }
}

async function removeDeadStages(layout: StoreLayout): Promise<void> {
  for (const name of await readdir(layout.staging)) {
    const path = join(layout.staging, name)
    const dir = name.endsWith('.lock') ? path.slice(0, -'.lock'.length) : path
    const lock = tryLockFile(stageLock(dir))
    if (lock !== undefined) await removeStage(dir, lock)
  }
}
