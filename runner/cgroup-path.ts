import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import { ownerOfRoot } from '#oci/user-namespace.ts'
import { type ContainerOptions, normalPath } from './options.ts'

/** Who makes the cgroups of containers: the OCI runtime itself, or systemd when the runtime asks it to. */
export type CgroupManager = 'cgroupfs' | 'systemd'

type Options = Pick<ContainerOptions, 'cgroupManager' | 'cgroupParent'>

/** Where cgroups are mounted: v2, or a directory with a mount for each controller. */
export const CGROUP_ROOT = '/sys/fs/cgroup'

const PARENT = '/dray'
const SLICE = 'dray.slice'

/**
 * Whether systemd makes the cgroup of a container. Of an ordinary user's it always does: nobody else may.
 *
 * @param owner the user that is root here; undefined for root of the host
 */
export function usesSystemd({ cgroupManager }: Options, owner = ownerOfRoot()): boolean {
  return cgroupManager === 'systemd' || owner !== undefined
}

/** What the runtime spec calls `cgroupsPath`: a path, or for systemd `SLICE:PREFIX:NAME`. */
export function cgroupsPathOf(id: string, options: Options = {}, owner = ownerOfRoot()): string {
  return usesSystemd(options, owner) ? `${sliceOf(options)}:dray:${id}` : cgroupOf(id, options)
}

/** Where the cgroup of a container is, below the mount of each controller. */
export function cgroupOf(id: string, options: Options = {}, owner = ownerOfRoot()): string {
  if (!usesSystemd(options, owner)) return normalPath(`${options.cgroupParent ?? PARENT}/${id}`)
  const top = owner === undefined ? '/' : userManagerOf(owner)
  return join(top, ...pathOfSlice(sliceOf(options)), `dray-${id}.scope`)
}

/** The cgroup of an ordinary user's systemd, and all that it may divide. */
export function userManagerOf(uid: number): string {
  return `/user.slice/user-${uid}.slice/user@${uid}.service`
}

/** Where the sockets of an ordinary user's services are. */
export function userRuntimeDir(uid: number): string {
  return `/run/user/${uid}`
}

/** The socket by which an ordinary user's systemd is asked for a cgroup. */
export function userBusOf(uid: number): string {
  return join(userRuntimeDir(uid), 'bus')
}

/** @throws USAGE, RUN_FAILED when the cgroup can't be made by whom the options say */
export function checkCgroupManager(options: Options): void {
  if (usesSystemd(options)) sliceOf(options)
  if (options.cgroupManager === 'cgroupfs' && ownerOfRoot() !== undefined) {
    const message =
      'the cgroups of an ordinary user are made by systemd: leave --cgroup-manager out'
    throw new DrayError('USAGE', message)
  }
  // sd_booted(3)
  if (options.cgroupManager === 'systemd' && !existsSync('/run/systemd/system')) {
    const message = 'systemd does not run this host: use --cgroup-manager cgroupfs'
    throw new DrayError('RUN_FAILED', message)
  }
}

function sliceOf({ cgroupParent }: Options): string {
  const slice = cgroupParent === undefined ? SLICE : basename(cgroupParent)
  if (/^[\w.@:]+(?:-[\w.@:]+)*\.slice$/.test(slice)) return slice
  const message = `systemd puts containers below slices, not ${cgroupParent}: write a name such as services.slice`
  throw new DrayError('USAGE', message)
}

/** systemd.slice(5): `a-b.slice` is in `a.slice`. */
function pathOfSlice(slice: string): string[] {
  const words = slice.slice(0, -'.slice'.length).split('-')
  return words.map((_, at) => `${words.slice(0, at + 1).join('-')}.slice`)
}
