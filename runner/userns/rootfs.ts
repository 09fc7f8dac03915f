import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DrayError, errorMessage } from '#oci/error.ts'
import { DEFAULT_STATE_DIR, type ContainerPaths } from '../layout.ts'
import type { PlacedVolume } from '../options.ts'
import { mountOverlay } from '../overlay.ts'
import { bindMapped, bindMount, unmount } from '../sys.ts'
import { type IdMap, outsideId, withHostRoot } from './id-map.ts'
import { withUserNamespace } from './namespace.ts'

/**
 * Where OCI runtimes find the root file systems of containers with user namespaces: there is no way for root of such a
 * container into the store, where only root of the host may enter.
 */
const ROOTS = join(DEFAULT_STATE_DIR, 'rootfs')

/**
 * Mounts a container's root file system so that its own root owns what root owns in the image. What is stored has the ids that
 * the container sees, so that nothing is changed by a container's range, and layers are shared.
 *
 * @throws MOUNT_FAILED
 */
export async function mountMappedRootfs(
  paths: ContainerPaths,
  lowerDirs: readonly string[],
  options: { readonly map: IdMap; readonly volatile: boolean },
): Promise<void> {
  // A mark that is right as long as somebody else may have written there.
  rmSync(join(paths.work, 'work/incompat'), { recursive: true, force: true })
  const places: string[] = []
  const mapped = (source: string, name: string, namespace: number) => {
    const place = join(paths.mapped, name)
    mkdirSync(place, { recursive: true })
    bindMapped(source, place, namespace)
    places.push(place)
    return place
  }
  try {
    const lowers = withDescriptor(paths.userNamespace, (namespace) =>
      [...new Set(lowerDirs)].map((dir, at) => mapped(dir, `layer-${at}`, namespace)),
    )
    const dir = await withUserNamespace(withHostRoot(options.map), async (pid) =>
      withDescriptor(`/proc/${pid}/ns/user`, (namespace) => mapped(paths.dir, 'own', namespace)),
    )
    const { volatile } = options
    const [upper, work] = [join(dir, 'upper'), join(dir, 'work')]
    mountOverlay({ lowerDirs: lowers, upper, work, target: paths.merged, volatile })
  } catch (error) {
    const message = `this kernel or file system can't map ids (--userns needs Linux 5.19 or newer): ${errorMessage(error)}`
    throw new DrayError('MOUNT_FAILED', message, { cause: error })
  } finally {
    // The overlay keeps its own.
    for (const place of places) unmount(place)
  }
}

/** Shows the root file system where the container's root may go. @returns where */
export function showRootfs({ dir, merged }: ContainerPaths, map: IdMap): string {
  const place = placeOf(dir)
  chmodSync(DEFAULT_STATE_DIR, 0o711)
  mkdirSync(ROOTS, { recursive: true, mode: 0o711 })
  mkdirSync(join(place, 'root'), { recursive: true, mode: 0o710 })
  chownSync(place, 0, outsideId(map.gids, 0) ?? 0)
  bindMount(merged, join(place, 'root'))
  return join(place, 'root')
}

/** Takes back what {@link showRootfs} did, if it did. */
export function hideRootfs({ dir }: ContainerPaths): void {
  const place = placeOf(dir)
  if (!existsSync(place)) return
  unmount(join(place, 'root'))
  rmSync(place, { recursive: true, force: true })
}

function placeOf(containerDir: string): string {
  return join(ROOTS, containerDir.slice(-64))
}

/**
 * Shows a volume by the ids that its container sees: one of the store, so that containers with different ranges can share it,
 * and one that asks for it. @returns the volume, where it is to be mounted from
 */
export function mapVolume(paths: ContainerPaths, volume: PlacedVolume, at: number): PlacedVolume {
  if (volume.name === undefined && !volume.mapsIds) return volume
  const place = join(paths.mapped, `volume-${at}`)
  if (volume.isDirectory) mkdirSync(place, { recursive: true })
  else closeSync(openSync(place, 'a'))
  withDescriptor(paths.userNamespace, (namespace) => bindMapped(volume.hostPath, place, namespace))
  return { ...volume, hostPath: place }
}

function withDescriptor<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, 'r')
  try {
    return work(fd)
  } finally {
    closeSync(fd)
  }
}
