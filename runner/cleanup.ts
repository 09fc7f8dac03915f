import { execFile } from 'node:child_process'
import { existsSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { type Cgroups, readCgroups, removeCgroup, runtimeEnvironment, thaw } from './cgroup.ts'
import { cgroupOf } from './cgroup-path.ts'
import { realContainersDir } from './containers/find.ts'
import { dropDeadNames, dropName } from './containers/names.ts'
import { recordEvent } from './events/record.ts'
import { endWatch } from './health/health.ts'
import { containerPaths, isContainerId, rootOf } from './layout.ts'
import { mountPointsUnder } from './mountinfo.ts'
import { disconnectUserMode } from './network/user-mode/connect.ts'
import { findPrograms, killAndWait } from './processes.ts'
import {
  type Claim,
  type ContainerRecord,
  claimExisting,
  isMonitored,
  readRecord,
} from './record.ts'
import { deleteArguments, KNOWN_RUNTIMES, runtimeMessage } from './runtime.ts'
import { unmount } from './sys.ts'
import { idMapOf } from './userns/resolve.ts'
import { hideRootfs } from './userns/rootfs.ts'
import { dropAnonymousVolumes } from './volumes/resolve.ts'

const run = promisify(execFile)

/** A runtime that doesn't answer is given up after this; its processes are then killed through their cgroup. */
const RUNTIME_TIMEOUT_MS = 30_000

/** What {@link cleanUpContainers} did. */
export interface CleanUpReport {
  /** Ids of containers that are gone now. */
  readonly removed: readonly string[]
  /** Containers that something of is left, and why; the next call tries again. */
  readonly failed: readonly { readonly id: string; readonly reason: string }[]
}

/**
 * Removes the containers whose owner died before it could, and those that it didn't live to write down: kills what runs in
 * them, unmounts, removes cgroups and directories. Containers with a living owner or with a monitor are left alone; several
 * processes may do this at once.
 */
export async function cleanUpContainers(root: string): Promise<CleanUpReport> {
  const removed: string[] = []
  const failed: { id: string; reason: string }[] = []
  const containers = realContainersDir(root)
  if (containers === undefined) return { removed, failed }
  for (const id of (await readdir(containers)).filter(isContainerId)) {
    try {
      if (await removeAbandoned(root, containers, id)) removed.push(id)
    } catch (error) {
      failed.push({ id, reason: errorMessage(error) })
    }
  }
  return { removed, failed }
}

/** Removes what a command that was killed left of containers that it made, or was about to remove: those without a record. */
export async function removeHalves(root: string, ids: readonly string[]): Promise<void> {
  const containers = realContainersDir(root)
  if (containers === undefined) return
  for (const id of ids) await removeAbandoned(root, containers, id)
  dropDeadNames(root)
}

async function removeAbandoned(root: string, containers: string, id: string): Promise<boolean> {
  if (isMonitored(containerPaths(containers, id))) return false
  const claim = claimExisting(containers, id, { abandoned: true })
  if (claim === undefined) return false
  try {
    const record = readRecord(claim.paths)
    if (record?.keeper === 'monitor') return false
    if (record !== undefined) await endRuntime(record)
    await removeContainer(root, claim, record, await readCgroups())
    return true
  } finally {
    claim.release()
  }
}

/**
 * Kills the runtime and the monitor that somebody started and didn't survive. They may still be setting the container up,
 * and would go on after all has been removed.
 */
export async function endRuntime(record: ContainerRecord): Promise<void> {
  const pids = await findPrograms(['conmon', basename(record.runtime)], record.id)
  for (const pid of pids) await killAndWait(pid)
}

/**
 * Removes everything of a container. A directory is never deleted through a mount: it stays when something below it cannot
 * be unmounted. The claim is still to be released.
 *
 * @throws RUN_FAILED when something is left
 */
export async function removeContainer(
  root: string,
  claim: Claim,
  record: ContainerRecord | undefined,
  cgroups: Cgroups,
): Promise<void> {
  await takeDown(claim, record, cgroups)
  removeDirectory(claim)
  if (record === undefined) return
  dropName(root, record.id, record.name)
  if (record.phase.name === 'started') recordEvent(root, record, 'die', { exitCode: '137' })
  recordEvent(root, record, 'destroy')
  const ids = idMapOf(record.options)
  if (ids !== undefined) (await import('./userns/ranges.ts')).dropRange(ids, claim.paths.dir)
  if (record.options.autoRemove) await dropAnonymousVolumes(root, record.options)
}

/**
 * Removes what a container has on the host while it runs, whether it still does or not: its processes, cgroups and mounts.
 * What it wrote stays.
 *
 * @throws RUN_FAILED when something is left
 */
export async function takeDown(
  claim: Claim,
  record: ContainerRecord | undefined,
  cgroups: Cgroups,
): Promise<void> {
  endWatch(claim.paths)
  const cgroup = cgroupOf(claim.id, record?.options)
  thaw(cgroup)
  const trouble = record === undefined ? undefined : await deleteInRuntime(record)
  if (!(await removeCgroup(cgroups, cgroup))) {
    throw left(claim, trouble ?? 'its processes do not end')
  }
  await takeOffNetwork(claim)
  await disconnectUserMode(claim.paths)
  unmountUnder(claim)
}

/** Kills the container and removes the runtime's state. @returns what went wrong, for which the cgroup may still make up */
async function deleteInRuntime(record: ContainerRecord): Promise<string | undefined> {
  const state = join(record.runtimeRoot, record.id)
  const isKnown = KNOWN_RUNTIMES.some((name) => name === basename(record.runtime))
  if (isKnown && !existsSync(state)) return undefined
  try {
    await run(record.runtime, deleteArguments(record.runtimeRoot, record.id), {
      timeout: RUNTIME_TIMEOUT_MS,
      env: runtimeEnvironment(),
    })
    return undefined
  } catch (error) {
    return `${basename(record.runtime)} cannot delete it: ${runtimeMessage(error)}`
  } finally {
    rmSync(state, { recursive: true, force: true })
  }
}

/** What networks need is loaded for containers that are on one. */
async function takeOffNetwork({ id, paths }: Claim): Promise<void> {
  if (!existsSync(paths.network)) return
  const { disconnect } = await import('./network/connect.ts')
  await disconnect({ root: rootOf(paths), id, paths, searchPath: undefined })
}

function unmountUnder(claim: Claim): void {
  hideRootfs(claim.paths)
  for (const point of mountPointsUnder(claim.paths.dir)) unmount(point)
  const [rest] = mountPointsUnder(claim.paths.dir)
  if (rest !== undefined) throw left(claim, `${rest} is still mounted`)
}

/**
 * The record goes first, so that no half of a container is taken for a whole one; the lock last, so that whoever finds the
 * rest can take over. Containers make names that are no UTF-8 and paths
 * longer than any system call takes; of Node's ways to remove a tree only the synchronous one copes.
 */
function removeDirectory(claim: Claim): void {
  const { dir, lock, record } = claim.paths
  rmSync(record, { force: true })
  for (const name of readdirSync(dir)) {
    if (name !== basename(lock)) rmSync(join(dir, name), { recursive: true, force: true })
  }
  unlinkSync(lock)
  try {
    rmdirSync(dir)
  } catch (error) {
    // Somebody else locks it this very moment, and removes it.
    if (!isErrno(error, 'ENOTEMPTY', 'ENOENT')) throw error
  }
}

function left(claim: Claim, reason: string): DrayError {
  const message = `container ${claim.id} could not be removed: ${reason}; the next command tries again`
  return new DrayError('RUN_FAILED', message)
}
