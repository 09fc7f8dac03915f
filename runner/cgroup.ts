import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isErrno } from '#oci/error.ts'
import type { BlockIo } from '#oci/runtime-spec.ts'
import { ownerOfRoot } from '#oci/user-namespace.ts'
import { CGROUP_ROOT, userBusOf, userManagerOf, userRuntimeDir } from './cgroup-path.ts'
import { type MountInfo, readMounts } from './mountinfo.ts'
import type { ContainerOptions } from './options.ts'
import { monotonicMs, sendSignal } from './processes.ts'
import { controllersWithout } from './spec/limits.ts'
import { readText } from './read-text.ts'

/** How this host divides resources (cgroups(7)). */
export interface Cgroups {
  /** `hybrid`: v1 controllers, and v2 mounted beside them. */
  readonly mode: 'v1' | 'hybrid' | 'v2' | 'none'
  /** The controllers that limits can be set with, sorted. */
  readonly controllers: readonly string[]
  /** Controllers that a hybrid host gave to v2, where no OCI runtime uses them. */
  readonly strayControllers: readonly string[]
  /** Where each hierarchy is mounted. */
  readonly mountPoints: readonly string[]
  /** Why containers get no cgroups, so that nothing holds them to limits; undefined when they do. */
  readonly obstacle?: string | undefined
}

const EMPTY_WITHIN_MS = 2000
const POLL_MS = 10

// Options of a v1 mount that are no controllers.
const NO_CONTROLLER = /^(?:rw|ro|none|xattr|noprefix|clone_children|release_agent=.*|name=.*)$/

/** The cgroups of this host, as far as this process sees them. */
export async function readCgroups(): Promise<Cgroups> {
  const cgroups = await describeCgroups(readMounts(), readControllers)
  const owner = ownerOfRoot()
  return owner === undefined ? cgroups : await describeDelegated(cgroups, owner)
}

/** {@link readCgroups} of what an ordinary user may divide: the part of v2 that its systemd has. */
async function describeDelegated(cgroups: Cgroups, owner: number): Promise<Cgroups> {
  const without = (why: string): Cgroups => ({
    ...cgroups,
    controllers: [],
    obstacle: `containers of an ordinary user get no cgroup here: ${why}`,
  })
  if (cgroups.mode !== 'v2') return without('the host would have to have cgroup v2 alone')
  const dir = join(CGROUP_ROOT, userManagerOf(owner))
  if (!existsSync(dir)) return without('no systemd of the user runs; try: loginctl enable-linger')
  if (!existsSync(userBusOf(owner)))
    return without('the systemd of the user has no bus; try: apt-get install dbus-user-session')
  return { ...cgroups, controllers: (await readControllers(dir)).sort() }
}

/** By what OCI runtimes find the systemd of an ordinary user. */
export function busEnvironment(): { readonly XDG_RUNTIME_DIR?: string } {
  const owner = ownerOfRoot()
  return owner === undefined ? {} : { XDG_RUNTIME_DIR: userRuntimeDir(owner) }
}

/**
 * All of the environment that an OCI runtime gets: with the address of root's own session, crun would ask the wrong systemd for a
 * cgroup.
 *
 * @param searchPath only for what runs programs: the container's, or hooks
 */
export function runtimeEnvironment(searchPath?: string): NodeJS.ProcessEnv {
  return { PATH: searchPath, ...busEnvironment() }
}

/** Why nothing holds a container to the limits that it is to have; undefined when all of them hold. */
export function whyNoLimits(options: ContainerOptions, cgroups: Cgroups): string | undefined {
  const missing = controllersWithout(options, cgroups.controllers)
  if (missing.length === 0) return undefined
  const delegate = ownerOfRoot() === undefined ? '' : `; ${HOW_TO_DELEGATE}`
  return cgroups.obstacle ?? `there is no cgroup controller ${missing.join(', ')}${delegate}`
}

/** How root gives controllers to ordinary users. */
export const HOW_TO_DELEGATE =
  'as root: systemctl edit user@.service, [Service] Delegate=cpu cpuset io memory pids'

/** {@link readCgroups} of given mounts. `readV2` gives the controllers of a v2 hierarchy mounted at a path. */
export async function describeCgroups(
  mounts: readonly MountInfo[],
  readV2: (mountPoint: string) => Promise<readonly string[]>,
): Promise<Cgroups> {
  const ours = mounts.filter(({ mountPoint }) => `${mountPoint}/`.startsWith(`${CGROUP_ROOT}/`))
  const v1 = ours.filter((mount) => mount.type === 'cgroup')
  const v2 = ours.find((mount) => mount.type === 'cgroup2')
  const unified = v2 === undefined ? [] : await readV2(v2.mountPoint)
  const mountPoints = [...v1, ...(v2 ? [v2] : [])].map((mount) => mount.mountPoint)
  if (v1.length === 0) {
    const mode = v2 === undefined ? 'none' : 'v2'
    return { mode, controllers: unified.toSorted(), strayControllers: [], mountPoints }
  }
  const controllers = v1.flatMap((mount) => mount.superOptions).filter(isController)
  return {
    mode: v2 === undefined ? 'v1' : 'hybrid',
    controllers: [...new Set(controllers)].sort(),
    strayControllers: unified,
    mountPoints,
  }
}

/** Whether memory and swap together can be limited: v1 counts swap only when the kernel is told to at boot. */
export function limitsSwap(cgroups: Cgroups): boolean {
  return cgroups.mode === 'v2' || existsSync(`${CGROUP_ROOT}/memory/memory.memsw.limit_in_bytes`)
}

/** Whether the kernel can share block devices by weights, as far as one can see from outside of a container's cgroup. */
export function weighsDevices(): boolean {
  // Of the old scheduler of v1, of BFQ, and of the cost model of v2.
  return [
    `${CGROUP_ROOT}/blkio/blkio.weight`,
    `${CGROUP_ROOT}/blkio/blkio.bfq.io_service_bytes`,
    '/sys/module/bfq',
    `${CGROUP_ROOT}/io.cost.qos`,
  ].some((path) => existsSync(path))
}

/** The numbers of the processes in a cgroup and those below it. */
export function processesOf(path: string): number[] {
  const dir = ['pids', 'systemd', '']
    .map((controller) => join(CGROUP_ROOT, controller, path))
    .find((candidate) => existsSync(candidate))
  return dir === undefined ? [] : pidsUnder(dir)
}

function pidsUnder(dir: string): number[] {
  const own = readText(join(dir, 'cgroup.procs')).split('\n').map(Number)
  const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return [...own.filter(Boolean), ...below.flatMap(({ name }) => pidsUnder(join(dir, name)))]
}

/**
 * Where the limits and counters of a cgroup of v2 are. Below that of systemd's scope, which systemd resets when it reads its units
 * again, crun makes one of its own.
 */
export function innerDir(path: string): string {
  const [outer, inner] = [join(CGROUP_ROOT, path), join(CGROUP_ROOT, path, 'container')]
  return existsSync(inner) ? inner : outer
}

/** Whether the processes of a cgroup are frozen, or about to be. */
export function isFrozen(path: string): boolean {
  return (
    /^FR(?:OZEN|EEZING)/.test(readText(freezerOfV1(path))) ||
    readText(freezerOfV2(path)).startsWith('1')
  )
}

/** Gives devices weights of their own, which they lose when the weight of all is set. */
export function weighDevices(path: string, { weightDevice = [] }: BlockIo): void {
  for (const { major, minor, weight } of weightDevice) {
    const text = `${major}:${minor} ${weight}`
    writeIfThere(join(CGROUP_ROOT, 'blkio', path, 'blkio.bfq.weight_device'), text)
    writeIfThere(join(innerDir(path), 'io.bfq.weight'), text)
  }
}

/** Lets frozen processes go on: in v1, nothing frozen can be killed. */
export function thaw(path: string): void {
  writeIfThere(freezerOfV1(path), 'THAWED')
  writeIfThere(freezerOfV2(path), '0')
}

function freezerOfV1(path: string): string {
  return join(CGROUP_ROOT, 'freezer', path, 'freezer.state')
}

function freezerOfV2(path: string): string {
  return join(innerDir(path), 'cgroup.freeze')
}

/**
 * Kills every process in a cgroup and removes it from all hierarchies. `path` is that of the runtime spec
 * (`cgroupsPath`). What is not there is no error.
 *
 * @returns false when processes are still dying after two seconds
 */
export async function removeCgroup(cgroups: Cgroups, path: string): Promise<boolean> {
  const deadline = monotonicMs() + EMPTY_WITHIN_MS
  const dirs = cgroups.mountPoints.map((mountPoint) => join(mountPoint, path))
  for (;;) {
    const left = dirs.filter((dir) => !removeTree(dir))
    if (left.length === 0) return true
    if (monotonicMs() > deadline) return false
    await setTimeout(POLL_MS)
  }
}

function removeTree(dir: string): boolean {
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(dir, entry.name))
    }
    killAll(dir)
    rmdirSync(dir)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true
    if (isErrno(error, 'EBUSY')) return false
    throw error
  }
}

function killAll(dir: string): void {
  const pids = readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').map(Number)
  for (const pid of pids.filter((number) => number > 0)) sendSignal(pid, 'SIGKILL')
}

function isController(option: string): boolean {
  return !NO_CONTROLLER.test(option)
}

function writeIfThere(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'r+' })
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENODEV')) throw error
  }
}

async function readControllers(mountPoint: string): Promise<string[]> {
  const text = await readFile(join(mountPoint, 'cgroup.controllers'), 'utf8').catch(() => '')
  return text.split(/\s+/).filter((name) => name !== '')
}
