import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '#oci/errno.ts'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { ETC_FILES } from './layout.ts'
import { isInside, type PlacedVolume, type Tmpfs, type Volume } from './options.ts'
import { makeDirectoryInRoot, resolveInRoot } from './rootfs-files.ts'
import { O_PATH, openat2, RESOLVE } from './sys.ts'

/**
 * What is done to a mounted root file system before an OCI runtime sees it. Runtimes, some with known holes, set up
 * devices and mounts at names that the image controls; these checks leave no link there to follow
 * (CVE-2019-19921, CVE-2024-21626, CVE-2026-41579, CVE-2026-47766). Nothing runs in the container yet, so nothing
 * changes between check and use.
 */

/** Mount points that must be directories of the image itself. */
const FIXED_DIRECTORIES = ['proc', 'sys', 'dev', 'etc']

/** Trees that the runtime mounts itself: what the image has there is hidden. */
const RUNTIME_TREES = ['/dev', '/sys']

/**
 * Makes the mount points that every container needs, and puts plain files where /etc/hosts and the like are mounted.
 *
 * @throws RUN_FAILED when /proc, /sys, /dev or /etc is not a directory
 */
export function prepareMountPoints(root: string, files: readonly string[] = ETC_FILES): void {
  for (const name of FIXED_DIRECTORIES) {
    const path = join(root, name)
    const found = lstatIfThere(path)
    if (found === undefined) {
      mkdirSync(path)
      chmodSync(path, 0o755)
    } else if (!found.isDirectory()) {
      const kind = found.isSymbolicLink() ? 'a symbolic link' : 'no directory'
      const message = `/${name} of the image is ${kind}: the image is broken or hostile`
      throw new DrayError('RUN_FAILED', message)
    }
  }
  for (const name of files) prepareFile(join(root, 'etc', name))
}

/** Distributions link /etc/resolv.conf to a file that a service of theirs writes: the link goes, the mount comes. */
function prepareFile(path: string): void {
  const found = lstatIfThere(path)
  if (found?.isFile()) return
  if (found?.isDirectory()) {
    throw new DrayError('RUN_FAILED', `/etc/${basename(path)} of the image is a directory`)
  }
  if (found !== undefined) unlinkSync(path)
  closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644))
  chmodSync(path, 0o644)
}

/**
 * Makes the place where a volume is mounted.
 *
 * @returns the volume with the place free of links
 * @throws USAGE when links of the image lead to the root or into /proc
 */
export async function placeVolume(
  root: string,
  volume: Volume,
  others: readonly Volume[],
): Promise<PlacedVolume> {
  const target = volume.containerPath
  const stats = await stat(volume.hostPath).catch((cause: unknown) => {
    const why = isErrno(cause, 'ENOENT') ? 'it is not there: make it first' : errorMessage(cause)
    const message = `cannot mount ${volume.hostPath} at ${target}: ${why}`
    throw new DrayError('USAGE', message, { cause })
  })
  const isDirectory = stats.isDirectory()
  const asIs = { ...volume, isDirectory }
  if (RUNTIME_TREES.some((dir) => isInside(target, dir))) return asIs
  const below = others.some((other) => other !== volume && isInside(target, other.containerPath))
  if (below) return asIs // in a volume, where the runtime makes it
  const real = isDirectory ? makeDirectoryInRoot(root, target) : makeFileInRoot(root, target)
  if (real === '/' || isInside(real, '/proc')) {
    throw new DrayError('USAGE', `a volume cannot be mounted at ${target}: it leads to ${real}`)
  }
  return { ...asIs, containerPath: real }
}

/**
 * Makes the place where a file system in memory is mounted, with its mode, which runc gives to what is mounted.
 *
 * @returns it with the place free of links
 */
export function placeTmpfs(root: string, mount: Tmpfs): Tmpfs {
  const target = mount.containerPath
  if (RUNTIME_TREES.some((dir) => isInside(target, dir))) return mount
  const mode = mount.options.findLast((option) => option.startsWith('mode='))?.slice(5) ?? '1777'
  const real = makeDirectoryInRoot(root, target, Number.parseInt(mode, 8))
  if (real !== '/' && !isInside(real, '/proc')) return { ...mount, containerPath: real }
  throw new DrayError('USAGE', `a tmpfs cannot be mounted at ${target}: it leads to ${real}`)
}

function makeFileInRoot(root: string, path: string): string {
  const existing = resolveInRoot(root, path)
  if (existing !== undefined) return existing
  const real = join(makeDirectoryInRoot(root, dirname(path)), basename(path))
  prepareFile(join(root, real))
  return real
}

/**
 * Makes the working directory and finds where it is.
 *
 * @returns an absolute path inside, free of links as far as it lies in the image
 * @throws RUN_FAILED when it leads to an open file of the runtime (CVE-2024-21626) or out of a volume
 */
export function placeWorkdir(
  root: string,
  workdir: string,
  mounts: readonly (Volume | Tmpfs)[],
): string {
  const volumes = mounts.filter((mount) => 'hostPath' in mount)
  const real = isHidden(workdir, mounts) ? workdir : makeDirectoryInRoot(root, workdir)
  if (real.startsWith('/proc/') || isInside(real, '/dev/fd')) {
    throw new DrayError('RUN_FAILED', `the working directory ${workdir} leads to ${real}`)
  }
  const volume = volumes
    .filter((candidate) => isInside(real, candidate.containerPath))
    .toSorted((a, b) => b.containerPath.length - a.containerPath.length)[0]
  if (volume !== undefined) checkWithinVolume(volume, real)
  return real
}

/** Whether what the image has at a path is out of sight inside. */
function isHidden(path: string, volumes: readonly (Volume | Tmpfs)[]): boolean {
  const hiding = [...RUNTIME_TREES, '/proc', ...volumes.map((volume) => volume.containerPath)]
  return hiding.some((dir) => path !== dir && isInside(path, dir))
}

function checkWithinVolume(volume: Volume, path: string): void {
  const rest = path.slice(volume.containerPath.length + 1)
  if (rest === '') return
  const dir = openSync(volume.hostPath, O_PATH)
  try {
    closeSync(openat2(dir, rest, O_PATH, RESOLVE.beneath | RESOLVE.noMagiclinks))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return // the runtime makes it
    const message = `the working directory ${path} leads out of the volume at ${volume.containerPath}`
    throw new DrayError('RUN_FAILED', message, { cause: error })
  } finally {
    closeSync(dir)
  }
}

function lstatIfThere(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}
