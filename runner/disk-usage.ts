import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '#oci/error.ts'
import { listContainers } from './containers/find.ts'
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
  const containers = await listContainers(root)
  return await measure(
    containers.map((container) => ({
      dir: container.paths.upper,
      isActive: isRunning(readState(container)),
    })),
  )
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
  const used = await volumesInUse(root)
  const volumes = await listVolumes(root)
  return await measure(
    volumes.map(({ name, mountpoint }) => ({ dir: mountpoint, isActive: used.has(name) })),
  )
}

async function measure(
  things: readonly { readonly dir: string; readonly isActive: boolean }[],
): Promise<DiskUsage> {
  let size = 0
  let reclaimable = 0
  for (const { dir, isActive } of things) {
    const bytes = await treeSize(dir, new Set())
    size += bytes
    if (!isActive) reclaimable += bytes
  }
  const active = things.filter(({ isActive }) => isActive).length
  return { total: things.length, active, size, reclaimable }
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
