import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { DrayError, errorMessage } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import { type FsOptions, fsconfig, fsmount, fsopen, mount, moveMount, O_PATH } from './sys.ts'

/** An overlay to mount. All paths are absolute; `upper` and `work` are empty directories of one file system. */
export interface Overlay {
  /** Read-only directories, lowest first. Never written. */
  readonly lowerDirs: readonly string[]
  /** Takes every change. */
  readonly upper: string
  readonly work: string
  readonly target: string
  /**
   * Whether a sync inside may do nothing, which is right for a tree that is thrown away afterwards: such an upper
   * directory cannot be mounted a second time.
   */
  readonly volatile: boolean
  /** `page` takes the way of kernels before 6.8 on newer ones too. By default the kernel decides. */
  readonly api?: 'page' | undefined
}

/** OVL_MAX_STACK of the kernel. */
export const LOWER_LIMIT = 500

// mount(2) takes one page of options; fsconfig(2) takes values of 255 bytes.
const PAGE = 4096
const VALUE_LIMIT = 255

/**
 * Mounts an overlay: by `lowerdir+`, one option a layer (Linux 6.8), or by mount(2) on older kernels, whose one page of
 * options ends at about 200 layers.
 *
 * @throws MOUNT_FAILED when the kernel refuses, when there are more than 500 layers, or none
 */
export function mountOverlay(overlay: Overlay): void {
  const lowers = distinctLowers(overlay.lowerDirs)
  if (lowers.length === 0 || lowers.length > LOWER_LIMIT) {
    const message = `cannot stack ${lowers.length} layers: overlay takes 1 to ${LOWER_LIMIT}`
    throw new DrayError('MOUNT_FAILED', message)
  }
  const names = new PathNames()
  try {
    mountNamed(overlay, lowers, names)
  } catch (error) {
    const gone = lowers.find((dir) => !existsSync(dir))
    const message =
      gone === undefined
        ? `cannot mount an overlay of ${lowers.length} layers at ${overlay.target}: ${errorMessage(error)}`
        : `layer ${gone} is gone: dray system check --repair makes it anew`
    throw new DrayError('MOUNT_FAILED', message, { cause: error })
  } finally {
    names.close()
  }
}

/**
 * Topmost first, as overlay wants them, each once: overlay refuses a directory that occurs twice, and of two equal
 * layers the lower one has no effect, since the upper one sets and hides all the same names.
 */
export function distinctLowers(lowerDirs: readonly string[]): string[] {
  return [...new Set(lowerDirs.toReversed())]
}

function mountNamed(overlay: Overlay, lowers: readonly string[], names: PathNames): void {
  const [upper, work] = [names.plain(overlay.upper), names.plain(overlay.work)]
  const common = commonOptions(upper, work, overlay.volatile)
  const dirs = lowers.map((dir) => names.plain(dir))
  if (overlay.api === 'page' || !mountByLayer(overlay.target, dirs, common)) {
    const short = lowers.map((dir) => names.short(dir))
    mount('overlay', overlay.target, 'overlay', optionString(short, common))
  }
}

/**
 * Layers come from strangers: an xattr of theirs must not redirect a name elsewhere (`redirect_dir`, `metacopy`), and
 * several mounts share one lower directory (`index`). Where this process is root over its own files only, so are overlay's marks.
 */
function commonOptions(upper: string, work: string, volatile: boolean): FsOptions {
  return [
    ['upperdir', upper],
    ['workdir', work],
    ['index', 'off'],
    ['metacopy', 'off'],
    ['redirect_dir', 'nofollow'],
    ...(isInUserNamespace() ? [['userxattr', true] as const] : []),
    ...(volatile ? [['volatile', true] as const] : []),
  ]
}

/** False when the kernel doesn't know `lowerdir+`. */
function mountByLayer(target: string, dirs: readonly string[], common: FsOptions): boolean {
  let fs: number | undefined
  let mounted: number | undefined
  try {
    fs = openWithLowers(dirs)
    if (fs === undefined) return false
    for (const [key, value] of common) fsconfig(fs, key, value)
    mounted = fsmount(fs)
    moveMount(mounted, target)
    return true
  } finally {
    if (mounted !== undefined) closeSync(mounted)
    if (fs !== undefined) closeSync(fs)
  }
}

function openWithLowers(dirs: readonly string[]): number | undefined {
  const fs = openOverlay()
  if (fs === undefined) return undefined
  try {
    for (const [index, dir] of dirs.entries()) {
      if (!addLower(fs, dir, index === 0)) {
        closeSync(fs)
        return undefined
      }
    }
    return fs
  } catch (error) {
    closeSync(fs)
    throw error
  }
}

function openOverlay(): number | undefined {
  try {
    const fs = fsopen('overlay')
    if (!takesAnything(fs)) return fs
    closeSync(fs)
    return undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOSYS') return undefined
    throw error
  }
}

/** Before Linux 6.5 the kernel only collects overlay's options, and refuses those that it doesn't know when it mounts. */
function takesAnything(fs: number): boolean {
  try {
    fsconfig(fs, 'no-such-option', '')
    return true
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return false
    throw error
  }
}

function addLower(fs: number, dir: string, first: boolean): boolean {
  try {
    fsconfig(fs, 'lowerdir+', dir)
    return true
  } catch (error) {
    // An option that the kernel doesn't know is EINVAL too; the first one tells.
    if (first && errnoOf(error) === 'EINVAL') return false
    throw error
  }
}

/** The option string of mount(2). @throws MOUNT_FAILED when it doesn't fit in a page */
export function optionString(dirs: readonly string[], common: FsOptions): string {
  const options = common.map(([key, value]) => (value === true ? key : `${key}=${value}`))
  const text = [`lowerdir=${dirs.join(':')}`, ...options].join(',')
  if (Buffer.byteLength(text) >= PAGE) {
    throw new DrayError(
      'MOUNT_FAILED',
      `${dirs.length} layers need more than the ${PAGE} bytes of options that this kernel takes: ` +
        'use Linux 6.8 or newer, a store with a shorter path, or an image with fewer layers',
    )
  }
  return text
}

/** Whether this kernel takes layers one by one. Needs root. */
export function takesLayersOneByOne(): boolean {
  const fs = openWithLowers(['/'])
  if (fs !== undefined) closeSync(fs)
  return fs !== undefined
}

/** Names of directories for a mount's options; those of descriptors are good until {@link close}. */
class PathNames {
  readonly #descriptors: number[] = []

  /** The path itself, unless it is long or has characters with a meaning in options. */
  plain(path: string): string {
    const fits = Buffer.byteLength(path) <= VALUE_LIMIT && /^[\w/.@+-]+$/.test(path)
    return fits ? path : this.short(path)
  }

  /** A few characters, whatever the path. */
  short(path: string): string {
    const fd = openSync(path, O_PATH | constants.O_DIRECTORY)
    this.#descriptors.push(fd)
    return `/proc/self/fd/${fd}`
  }

  close(): void {
    for (const fd of this.#descriptors.splice(0)) closeSync(fd)
  }
}
