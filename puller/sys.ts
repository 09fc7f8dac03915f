import { createRequire } from 'node:module'
import type { LibraryHandle } from 'koffi'
import { errnoNames, type SyscallDetail } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'

/**
 * The system calls that unpacking and packing need and Node lacks. Paths are bytes and no call here follows a symlink in the last
 * component. A call by koffi costs as much as one of `node:fs` (1 to 2 µs), so whatever `node:fs` can do is left to it.
 * The library is loaded at the first call (10 ms): a layer without devices, xattrs and sub-second times never pays.
 *
 * Every function throws SYSCALL_FAILED with `detail: {call, errno}`, `errno` being the name (`ENOTSUP`).
 */

type Call = (...args: readonly (Buffer | number | bigint | null)[]) => number

interface Native {
  readonly mknod: Call
  readonly lsetxattr: Call
  readonly lgetxattr: Call
  readonly llistxattr: Call
  readonly utimensat: Call
  readonly futimens: Call
  readonly flock: Call
  readonly sched_setscheduler: Call
  readonly ioctl: Call
  readonly posix_fadvise: Call
  readonly syscall: Call
  readonly syncfs: Call & {
    async(fd: number, done: (error: unknown, result: number) => void): void
  }
  errno(): string
}

const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const LOCK_SHARED = 1
const LOCK_EXCLUSIVE = 2
const LOCK_NONBLOCKING = 4
const SCHED_IDLE = 5
const FADVISE_DONT_NEED = 4
const IOPRIO_WHO_PROCESS = 1
const IOPRIO_IDLE = 3 << 13
/** Its number by architecture: glibc has no function for it. */
const IOPRIO_SET: Readonly<Record<string, number>> = { x64: 251, arm64: 30 }
const XATTR_LIST_MAX = 65536 // linux/limits.h
const XATTR_SIZE_MAX = 65536

/** File type bits of a mode, as in stat(2). */
export const FILE_TYPE = { fifo: 0o010000, character: 0o020000, block: 0o060000 } as const

/** The largest device numbers that the kernel's 32-bit `dev_t` holds (linux/kdev_t.h: 12 and 20 bits). */
export const DEVICE_LIMIT = { major: 0xfff, minor: 0xfffff } as const

/** Makes a device, fifo or (0, 0) a whiteout; the process's umask applies to `mode`. */
export function mknod(path: Buffer, mode: number, major: number, minor: number): void {
  const sys = native()
  check(sys, 'mknod', sys.mknod(terminated(path), mode, deviceNumber(major, minor)))
}

/** Sets an extended attribute. `name` is a binary string: one character a byte. */
export function setXattr(path: Buffer, name: string, value: Buffer): void {
  const sys = native()
  const key = Buffer.from(`${name}\0`, 'latin1')
  check(sys, 'lsetxattr', sys.lsetxattr(terminated(path), key, value, value.length, 0))
}

/** Reads an extended attribute; undefined when the file has none of that name or the file system has none at all. */
export function getXattr(path: Buffer, name: string): Buffer | undefined {
  const sys = native()
  const value = scratch(XATTR_SIZE_MAX)
  const key = Buffer.from(`${name}\0`, 'latin1')
  const length = sys.lgetxattr(terminated(path), key, value, value.length)
  if (length < 0 && ['ENODATA', 'ENOTSUP'].includes(sys.errno())) return undefined
  check(sys, 'lgetxattr', length)
  return Buffer.from(value.subarray(0, length))
}

/** The names of a file's extended attributes, as binary strings, in the order of their bytes. */
export function listXattrs(path: Buffer): string[] {
  const sys = native()
  const list = scratch(XATTR_LIST_MAX)
  const length = sys.llistxattr(terminated(path), list, list.length)
  if (length === 0 || (length < 0 && sys.errno() === 'ENOTSUP')) return []
  check(sys, 'llistxattr', length)
  return list
    .toString('latin1', 0, length - 1)
    .split('\0')
    .sort()
}

/** Sets access and modification time of a path to one moment, exact to the nanosecond. */
export function setTimes(path: Buffer, seconds: number, nanoseconds: number): void {
  const sys = native()
  const times = timespecs(seconds, nanoseconds)
  check(sys, 'utimensat', sys.utimensat(AT_FDCWD, terminated(path), times, AT_SYMLINK_NOFOLLOW))
}

/** {@link setTimes} of an open file. */
export function setTimesOf(fd: number, seconds: number, nanoseconds: number): void {
  const sys = native()
  check(sys, 'futimens', sys.futimens(fd, timespecs(seconds, nanoseconds)))
}

/** Gives a thread only the CPU and disk time that nobody else wants, and so the threads that it starts. */
export function idleThread(tid: number): void {
  const sys = native()
  const priority = Buffer.alloc(4)
  check(sys, 'sched_setscheduler', sys.sched_setscheduler(tid, SCHED_IDLE, priority))
  const number = IOPRIO_SET[process.arch]
  if (number === undefined) return
  check(sys, 'ioprio_set', sys.syscall(number, IOPRIO_WHO_PROCESS, tid, IOPRIO_IDLE))
}

/** Asks an open file or device what only ioctl(2) does. `name` is that of the request. @returns what the call returns */
export function ioctl(fd: number, name: string, request: number, argument: Buffer | null): number {
  const sys = native()
  const result = sys.ioctl(fd, request, argument)
  check(sys, name, result)
  return result
}

/**
 * Tells the kernel that the first `length` bytes of an open file won't be read again: what is on the disk leaves the page
 * cache, what isn't is on its way there. It is advice, so a file system that can't take it is no error.
 */
export function forgetStart(fd: number, length: number): void {
  native().posix_fadvise(fd, 0, length, FADVISE_DONT_NEED)
}

/** Locks an open file without waiting; false when another process or descriptor holds it. The lock ends with the descriptor. */
export function tryLock(fd: number, kind: 'shared' | 'exclusive'): boolean {
  const sys = native()
  const operation = (kind === 'shared' ? LOCK_SHARED : LOCK_EXCLUSIVE) | LOCK_NONBLOCKING
  const result = sys.flock(fd, operation)
  if (result < 0 && sys.errno() === 'EAGAIN') return false
  check(sys, 'flock', result)
  return true
}

/**
 * Writes the whole file system that holds an open file to its device, on a thread of the pool: it takes as long as the
 * disk does.
 */
export async function syncFileSystem(fd: number): Promise<void> {
  const sys = native()
  const result = await new Promise<number>((resolve, reject) => {
    sys.syncfs.async(fd, (error, value) => (error ? reject(error) : resolve(value)))
  })
  // errno belongs to the thread of the call: a second one, on this thread, tells it.
  if (result < 0) check(sys, 'syncfs', sys.syncfs(fd))
}

function check(sys: Native, call: string, result: number): void {
  if (result >= 0) return
  throw callFailed(call, sys.errno())
}

/** The error of a call that failed. */
export function callFailed(call: string, errno: string): DrayError {
  const detail: SyscallDetail = { call, errno }
  return new DrayError('SYSCALL_FAILED', `${call} failed: ${errno}`, { detail })
}

// The layout of glibc's makedev(3).
function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)]
  return (
    ((high & 0xfffff000n) << 32n) |
    ((high & 0xfffn) << 8n) |
    ((low & 0xffffff00n) << 12n) |
    (low & 0xffn)
  )
}

const times = Buffer.alloc(32)

function timespecs(seconds: number, nanoseconds: number): Buffer {
  for (const at of [0, 16]) {
    times.writeBigInt64LE(BigInt(seconds), at)
    times.writeBigInt64LE(BigInt(nanoseconds), at + 8)
  }
  return times
}

function terminated(path: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(path.length + 1)
  path.copy(bytes)
  bytes[path.length] = 0
  return bytes
}

let spare: Buffer | undefined

function scratch(size: number): Buffer {
  spare ??= Buffer.alloc(size)
  return spare
}

let loaded: Native | undefined

function native(): Native {
  loaded ??= load()
  return loaded
}

/** The C library, and the name of the error of the call made last. */
export function loadLibc(): { readonly libc: LibraryHandle; readonly errno: () => string } {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const nameOf = errnoNames(koffi.os.errno)
  return { libc: koffi.load(null), errno: () => nameOf(koffi.errno()) }
}

function load(): Native {
  const { libc, errno } = loadLibc()
  return {
    mknod: libc.func('int mknod(const uint8_t *path, uint32_t mode, uint64_t dev)'),
    lsetxattr: libc.func(
      'int lsetxattr(const uint8_t *path, const uint8_t *name, const uint8_t *value, size_t size, int flags)',
    ),
    lgetxattr: libc.func(
      'int64_t lgetxattr(const uint8_t *path, const uint8_t *name, _Out_ uint8_t *value, size_t size)',
    ),
    llistxattr: libc.func(
      'int64_t llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)',
    ),
    utimensat: libc.func(
      'int utimensat(int dirfd, const uint8_t *path, const uint8_t *times, int flags)',
    ),
    futimens: libc.func('int futimens(int fd, const uint8_t *times)'),
    sched_setscheduler: libc.func(
      'int sched_setscheduler(int pid, int policy, const uint8_t *param)',
    ),
    syscall: libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)'),
    ioctl: libc.func('int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)'),
    posix_fadvise: libc.func(
      'int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)',
    ),
    flock: libc.func('int flock(int fd, int operation)'),
    syncfs: libc.func('int syncfs(int fd)') as Native['syncfs'],
    errno,
  }
}
