import { realpath } from 'node:fs/promises'
import { isErrno } from '#oci/error.ts'
import type { HeldLayers } from '#puller/store/mounts.ts'

/** Mounts the lower directories of a container that must be mounted, for as long as its overlay isn't there yet. */
export async function holdLayersOf(
  root: string,
  lowerDirs: readonly string[],
): Promise<HeldLayers> {
  const { holdLayers, storeLayout } = await loadMounts()
  return await holdLayers(storeLayout(await realpath(root)), lowerDirs)
}

/** Unmounts the layers that no container uses any more. */
export async function unmountUnusedLayers(root: string): Promise<void> {
  const { unmountUnused, storeLayout } = await loadMounts()
  try {
    await unmountUnused(storeLayout(await realpath(root)))
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error // no store, no layers
  }
}

/** Not by the puller's public face, which brings all that a transfer needs. */
async function loadMounts() {
  const { holdLayers, unmountUnused } = await import('#puller/store/mounts.ts')
  const { storeLayout } = await import('#puller/store/layout.ts')
  return { holdLayers, unmountUnused, storeLayout }
}
