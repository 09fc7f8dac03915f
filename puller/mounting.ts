import { closeSync, constants, openSync } from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { callFailed, ioctl, loadLibc } from './sys.ts'

/** The system calls by which layers are mounted. All need root and throw SYSCALL_FAILED. */

type Call = (...args: readonly (string | number | Buffer | null)[]) => number

interface Native {
  readonly mount: Call
  readonly umount2: Call
  errno(): string
}

const MS_RDONLY = 1
const MS_NOSUID = 2
const MS_NODEV = 4
const UMOUNT_NOFOLLOW = 8

const LOOP_CTL_GET_FREE = 0x4c82
const LOOP_CONFIGURE = 0x4c0a
const LOOP_CONFIG_SIZE = 304 // struct loop_config of linux/loop.h
const LOOP_FLAGS_AT = 60
const LOOP_READ_ONLY = 1
const LOOP_AUTOCLEAR = 4
const LOOP_TRIES = 64

/** Mounts a file system read-only, without devices and setuid programs. `options` as mount(2) takes them. */
export function mountReadOnly(type: string, source: string, target: string, options: string): void {
  const sys = native()
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV
  if (sys.mount(source, target, type, flags, options) < 0) throw callFailed('mount', sys.errno())
}

/** Unmounts what is on top at `target`, unless it is in use or nothing is mounted there. @returns whether it did */
export function unmountIdle(target: string): boolean {
  const sys = native()
  if (sys.umount2(target, UMOUNT_NOFOLLOW) === 0) return true
  const errno = sys.errno()
  if (errno === 'EBUSY' || errno === 'EINVAL' || errno === 'ENOENT') return false
  throw callFailed('umount2', errno)
}

/** Stacks directories by overlay, the topmost first, to be looked at only. There must be two at least. */
export function mountOverlay(dirs: readonly string[], target: string): void {
  const names = dirs.map(nameForOptions)
  try {
    const lowers = names.map(({ path }) => path).join(':')
    mountReadOnly('overlay', 'overlay', target, `lowerdir=${lowers}`)
  } finally {
    for (const { close } of names) close()
  }
}

/** A path that is good until it is closed. */
export interface NamedPath {
  readonly path: string
  close(): void
}

/** Commas and colons mean something in options of mount(2): a path that has one goes by its descriptor. */
export function nameForOptions(path: string): NamedPath {
  if (/^[\w/.@+-]+$/.test(path)) return { path, close: () => undefined }
  const fd = openSync(path, constants.O_RDONLY)
  return { path: `/proc/self/fd/${fd}`, close: () => closeSync(fd) }
}

/** Makes a file readable as a block device, which ends when it is closed and no file system is on it. */
export function openLoopDevice(file: string): NamedPath {
  const control = openSync('/dev/loop-control', constants.O_RDWR)
  const backing = openSync(file, constants.O_RDONLY)
  try {
    for (let tries = 1; ; tries++) {
      const device = tryLoopDevice(control, backing, tries === LOOP_TRIES)
      if (device !== undefined) return device
    }
  } finally {
    closeSync(backing)
    closeSync(control)
  }
}

/** Undefined when somebody else took the device that was free. */
function tryLoopDevice(control: number, backing: number, isLast: boolean): NamedPath | undefined {
  const path = `/dev/loop${ioctl(control, 'LOOP_CTL_GET_FREE', LOOP_CTL_GET_FREE, null)}`
  const config = Buffer.alloc(LOOP_CONFIG_SIZE)
  config.writeUInt32LE(backing, 0)
  config.writeUInt32LE(LOOP_READ_ONLY | LOOP_AUTOCLEAR, LOOP_FLAGS_AT)
  const fd = openSync(path, constants.O_RDONLY)
  try {
    ioctl(fd, 'LOOP_CONFIGURE', LOOP_CONFIGURE, config)
    return { path, close: () => closeSync(fd) }
  } catch (error) {
    closeSync(fd)
    if (errnoOf(error) === 'EBUSY' && !isLast) return undefined
    throw error
  }
}

let loaded: Native | undefined

function native(): Native {
  loaded ??= load()
  return loaded
}

function load(): Native {
  const { libc, errno } = loadLibc()
  return {
    mount: libc.func(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
    ),
    umount2: libc.func('int umount2(const char *target, int flags)'),
    errno,
  }
}
