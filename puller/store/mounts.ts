import { closeSync, constants, mkdirSync, openSync, rmdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { getuid } from 'node:process'
import { parseDigest } from '#oci/digest.ts'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import { mountLayerImage } from '../layers/erofs/mount.ts'
import { unmountIdle } from '../mounting.ts'
import { namesIn } from './files.ts'
import { readVerity, wrongVerity } from './layers.ts'
import type { StoreLayout } from './layout.ts'
import { lockFile } from './lock.ts'
import { type MountedOverlay, readOverlays } from './mountinfo.ts'

/**
 * Layers of form erofs are mounted once, however many use them. Who does is told by the kernel and nobody else: a process that
 * holds a layer has its directory open, so that it can't be unmounted, and a container's overlay names it among its lower
 * directories. So a crash leaves nothing that doesn't show: the next sweep finds it.
 */
export interface HeldLayers {
  /** Lets go of the layers and unmounts those that nobody else uses. */
  release(): Promise<void>
}

/**
 * Keeps lower directories of a store usable until they are released: those of layers that must be mounted are. The others are
 * there anyway.
 *
 * @throws STORE_FAILED when a layer is gone or can't be mounted
 */
export async function holdLayers(
  layout: StoreLayout,
  lowerDirs: readonly string[],
): Promise<HeldLayers> {
  const points = new Set(lowerDirs.filter((dir) => dirname(dir) === layout.mounts))
  if (points.size === 0) return { release: async () => undefined }
  const held: number[] = []
  const release = async () => {
    for (const fd of held.splice(0)) closeSync(fd)
    await unmountUnused(layout)
  }
  try {
    await locked(layout, () => {
      for (const point of points) held.push(openMounted(layout, point))
    })
    return { release }
  } catch (error) {
    await release()
    throw error
  }
}

/** Unmounts the layers that nobody uses, also those that a process that was killed left mounted. */
export async function unmountUnused(layout: StoreLayout): Promise<void> {
  if (getuid?.() !== 0) return
  const names = (await namesIn(layout.mounts)).filter(
    (name) => name !== basename(layout.mountsLock),
  )
  if (names.length === 0) return
  await locked(layout, () => {
    const overlays = readOverlays()
    for (const name of names) {
      const point = join(layout.mounts, name)
      if (!overlays.some((overlay) => mayUse(layout, overlay, point))) removeMountPoint(point)
    }
  })
}

async function locked(layout: StoreLayout, work: () => void): Promise<void> {
  const lock = await lockFile(layout.mountsLock)
  try {
    work()
  } finally {
    lock.release()
  }
}

function openMounted(layout: StoreLayout, point: string): number {
  mkdirSync(point, { recursive: true, mode: 0o700 })
  try {
    if (!isMounted(point)) mountLayer(layout, point)
    return openSync(point, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (isDrayError(error, 'STORE_FAILED')) throw error
    throw new DrayError(
      'STORE_FAILED',
      `cannot mount layer ${basename(point)}: ${errorMessage(error)}. dray system check --repair makes it anew if it is damaged; ` +
        'where it is not, pull the image into another store with --root and --layer-store dir',
      { cause: error },
    )
  }
}

function mountLayer(layout: StoreLayout, point: string): void {
  const diffId = parseDigest(basename(point).replace('-', ':'))
  const { dir, tar, image } = layout.layer(diffId)
  const verity = readVerity(layout, diffId)
  const wrong = verity === undefined ? undefined : wrongVerity(dir, verity)
  if (wrong !== undefined) {
    throw new DrayError(
      'STORE_FAILED',
      `layer ${diffId} is not mounted: ${wrong}. Have it made anew with dray system check --repair`,
    )
  }
  mountLayerImage({ tar, image, target: point })
}

function isMounted(point: string): boolean {
  return statSync(point).dev !== statSync(dirname(point)).dev
}

/** An overlay of ours whose directories go by descriptors doesn't say which they are. */
function mayUse(
  layout: StoreLayout,
  { mountPoint, options }: MountedOverlay,
  point: string,
): boolean {
  const isOurs = mountPoint.startsWith(`${layout.root}/`)
  return options.includes(point) || (isOurs && options.includes('/proc/self/fd/'))
}

/** Somebody may hold it still: it stays then. */
function removeMountPoint(point: string): void {
  while (unmountIdle(point));
  try {
    rmdirSync(point)
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'ENOENT')) throw error
  }
}
