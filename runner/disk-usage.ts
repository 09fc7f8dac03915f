import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '#oci/error.ts'
import { listContainers } from './containers/find.ts'
import type { Seen } from './containers/filter.ts'
import { type Container, isRunning, readState } from './containers/state.ts'
import type { RunnerContext } from './context.ts'
import { withRootfs } from './files/inside.ts'
import { listVolumes, volumesInUse } from './volumes/store.ts'

const BLOCK_SIZE = 512 // of stat(2)

/** What one kind of thing takes on the disk, in bytes. */
export interface DiskUsage {
  readonly total: number
  readonly active: number
  readonly size: number
  /** What would be free without those that are not in use. */
  readonly reclaimable: number
}

/** What containers wrote. Those that run are in use. */
export async function measureContainers(root: string): Promise<DiskUsage> {
  const containers = await measureEachContainer(root)
  return sumOf(containers.map(({ state, size }) => ({ size, isActive: isRunning(state) })))
}

/** What each container is doing, and wrote, in bytes on the disk. */
export async function measureEachContainer(
  root: string,
): Promise<(Seen & { readonly size: number })[]> {
  const measured = []
  for (const container of await listContainers(root))
    measured.push({ container, state: readState(container), size: await sizeWritten(container) })
  return measured
}

/** What a container wrote beside its volumes, in bytes on the disk. */
export async function sizeWritten({ paths }: Pick<Container, 'paths'>): Promise<number> {
  return await treeSize(paths.upper, new Set())
}

/** What a container's files take, its image's among them and those of volumes not, in bytes on the disk. */
export async function sizeOfRootfs(container: Container, context: RunnerContext): Promise<number> {
  return await withRootfs(container, context, (dir) => treeSize(dir, new Set()))
}

/** What is in volumes. Those that a container has are in use. */
export async function measureVolumes(root: string): Promise<DiskUsage> {
  const volumes = await measureEachVolume(root)
  return sumOf(volumes.map(({ users, size }) => ({ size, isActive: users > 0 })))
}

/** How many containers have each volume, and what is in it, in bytes on the disk. */
export async function measureEachVolume(root: string) {
  const used = await volumesInUse(root)
  const measured = []
  for (const { name, mountpoint } of await listVolumes(root)) {
    const users = used.get(name)?.length ?? 0
    measured.push({ name, users, size: await treeSize(mountpoint, new Set()) })
  }
  return measured
}

function sumOf(
  things: readonly { readonly size: number; readonly isActive: boolean }[],
): DiskUsage {
  const sum = (some: typeof things) => some.reduce((bytes, { size }) => bytes + size, 0)
  const active = things.filter(({ isActive }) => isActive)
  const size = sum(things)
  return { total: things.length, active: active.length, size, reclaimable: size - sum(active) }
}

/** Bytes on the disk of everything below a directory. What goes away meanwhile counts for nothing. */
async function treeSize(dir: string, seen: Set<string>): Promise<number> {
  let size = 0
  for (const entry of await entriesOf(dir)) {
    const path = join(dir, entry.name)
    const stats = await lstat(path).catch(ignoreMissing)
    if (stats === undefined) continue
    const file = `${stats.dev}:${stats.ino}`
    if (stats.nlink > 1 && !stats.isDirectory()) {
      if (seen.has(file)) continue
      seen.add(file)
    }
    size += stats.blocks * BLOCK_SIZE
    if (entry.isDirectory()) size += await treeSize(path, seen)
  }
  return size
}

async function entriesOf(dir: string): Promise<Dirent[]> {
  return (await readdir(dir, { withFileTypes: true }).catch(ignoreMissing)) ?? []
}

function ignoreMissing(error: unknown): undefined {
  if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
  throw error
}
