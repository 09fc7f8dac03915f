import { closeSync, constants, openSync } from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'
import { mountRootfs } from '../bundle.ts'
import { changeContainer } from '../containers/change.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import type { ContainerPaths } from '../layout.ts'
import { mountPointsUnder } from '../mountinfo.ts'
import type { Volume } from '../options.ts'
import type { ContainerRecord } from '../record.ts'
import { bindMount, makeMountReadOnly, O_PATH, openat2, RESOLVE, unmount } from '../sys.ts'
import type { IdMap } from '../userns/id-map.ts'
import { idMapOf } from '../userns/resolve.ts'

const ROOT = O_PATH | constants.O_DIRECTORY

/**
 * Lets work see a container's files, as the container itself does: its volumes too, and while it runs what it has in memory.
 *
 * @param work gets a descriptor of the container's root directory; paths below it are for openat2(2) alone, since whatever
 *   runs in the container may change links meanwhile; and the map of ids, when files have those of the host
 * @throws CONTAINER_STATE, MOUNT_FAILED
 */
export async function withFiles<T>(
  container: Container,
  context: RunnerContext,
  work: (root: number, ids: IdMap | undefined) => Promise<T>,
): Promise<T> {
  return await whileThere(container, context, {
    whileRunning: (pid) =>
      opened(rootOfRunning(container, pid), (root) =>
        work(root, idMapOf(container.record.options)),
      ),
    whileMounted: async (record, dir) => {
      const root = openSync(dir, ROOT)
      return await opened(root, async () => {
        for (const volume of record.options.volumes ?? []) mountVolume(root, volume)
        return await work(root, undefined)
      })
    },
  })
}

/**
 * Lets work see a container's root file system as a directory of the host, without volumes and what is in memory. What runs in
 * the container may change it meanwhile. The map of ids is there when files have those of the host.
 *
 * @throws CONTAINER_STATE, MOUNT_FAILED
 */
export async function withRootfs<T>(
  container: Container,
  context: RunnerContext,
  work: (dir: string, ids: IdMap | undefined) => Promise<T>,
): Promise<T> {
  return await whileThere(container, context, {
    whileRunning: () => work(container.paths.merged, idMapOf(container.record.options)),
    whileMounted: (_, dir) => work(dir, undefined),
  })
}

/** Mounts the root file system of a container that doesn't run, which nobody can start meanwhile. */
async function whileThere<T>(
  container: Container,
  context: RunnerContext,
  work: {
    readonly whileRunning: (pid: number) => Promise<T>
    readonly whileMounted: (record: ContainerRecord, dir: string) => Promise<T>
  },
): Promise<T> {
  const state = readState(container)
  if (isRunning(state)) return await work.whileRunning(state.pid)
  return await changeContainer(context.root, container, async ({ paths }, record) => {
    const now = readState({ ...container, record })
    if (isRunning(now)) return await work.whileRunning(now.pid)
    try {
      await mountAnew(paths, record, context)
      return await work.whileMounted(record, paths.merged)
    } finally {
      await unmountAll(paths)
    }
  })
}

/** What a command that was killed left mounted goes first. */
async function mountAnew(
  paths: ContainerPaths,
  { rootfs }: ContainerRecord,
  { holdLayers }: RunnerContext,
): Promise<void> {
  await unmountAll(paths)
  const layers = await holdLayers?.(rootfs.lowerDirs)
  try {
    mountRootfs(paths, rootfs.lowerDirs)
  } finally {
    await layers?.release()
  }
}

async function unmountAll({ dir }: ContainerPaths): Promise<void> {
  for (const point of mountPointsUnder(dir)) unmount(point)
}

async function opened<T>(fd: number, work: (fd: number) => Promise<T>): Promise<T> {
  try {
    return await work(fd)
  } finally {
    closeSync(fd)
  }
}

/** The number may belong to another process by now, unless the container still runs after the look. */
function rootOfRunning(container: Container, pid: number): number {
  const fd = openSync(`/proc/${pid}/root`, ROOT)
  const state = readState(container)
  if (isRunning(state) && state.pid === pid) return fd
  closeSync(fd)
  const message = `container ${container.record.name} ended this very moment: try again`
  throw new DrayError('CONTAINER_STATE', message)
}

/** One whose place was never made, since the container was never started, is left out. */
function mountVolume(root: number, { hostPath, containerPath, readOnly }: Volume): void {
  const isMounted = atPlace(root, containerPath, (place) => bindMount(hostPath, place))
  if (isMounted && readOnly) atPlace(root, containerPath, makeMountReadOnly)
}

/** @returns false when nothing is there */
function atPlace(root: number, path: string, work: (place: string) => void): boolean {
  const fd = openPlace(root, path)
  if (fd === undefined) return false
  try {
    work(`/proc/self/fd/${fd}`)
    return true
  } finally {
    closeSync(fd)
  }
}

function openPlace(root: number, path: string): number | undefined {
  try {
    return openat2(root, path, O_PATH, RESOLVE.inRoot | RESOLVE.noMagiclinks)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
