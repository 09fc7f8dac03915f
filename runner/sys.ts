import { closeSync, constants, openSync, readSync } from 'node:fs'
import { checked, type Native, native } from './native.ts'

/**
 * The system calls that running a container needs and Node lacks. The library that makes them is loaded at the first
 * call (about 15 ms). All are synchronous and short.
 *
 * Every function throws SYSCALL_FAILED with `detail: {call, errno}`, `errno` being the name (`EBUSY`), unless it says otherwise.
 */

/** Numbers of system calls since Linux 5.0: the same on every architecture (asm-generic/unistd.h). */
const SYS = {
  openTree: 428,
  moveMount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  closeRange: 436,
  openat2: 437,
  mountSetattr: 442,
} as const

const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const OPEN_TREE_CLONE = 1
const MOUNT_ATTR_IDMAP = 0x100000
const MOUNT_ATTR_CONFINED = 2 | 4 | 8 // nosuid, nodev, noexec
const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const MOVE_MOUNT_F_EMPTY_PATH = 4
const FSCONFIG_SET_FLAG = 0
const FSCONFIG_SET_STRING = 1
const FSCONFIG_CMD_CREATE = 6
const CLOSE_RANGE_CLOEXEC = 4
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8
const LOCK_EX_NB = 2 | 4
const MS_RDONLY = 0x1
const MS_REMOUNT = 0x20
const MS_BIND = 0x1000
const MS_REC = 0x4000
const MS_PRIVATE = 0x40000
const MS_SHARED = 0x100000
const CLONE_FS = 0x200
const CLONE_NEWNS = 0x20000
const CLONE_NEWNET = 0x40000000
const AF_UNIX = 1
const OPOST = 1
const SOCK_SEQPACKET_CLOEXEC = 5 | 0o2000000

const O_CLOEXEC = 0o2000000
/** One takes microseconds, and renames on a busy host are milliseconds apart. */
const OPENAT2_TRIES = 1000
/** open(2): names a file without opening what it holds. */
export const O_PATH = 0o10000000

/** How openat2(2) resolves a path. */
export const RESOLVE = {
  noMagiclinks: 0x02,
  noSymlinks: 0x04,
  beneath: 0x08,
  inRoot: 0x10,
} as const

/** Options of a file system, in order; `true` stands for a flag without a value. */
export type FsOptions = readonly (readonly [key: string, value: string | true])[]

/** Starts to set up a file system by the new mount API. @returns a descriptor that the caller closes */
export function fsopen(type: string): number {
  const sys = native()
  return checked(sys, 'fsopen', sys.fsopen(SYS.fsopen, type, FSOPEN_CLOEXEC))
}

/** Sets one option; a value has at most 255 bytes (linux/fs_context.h). */
export function fsconfig(fd: number, key: string, value: string | true): void {
  const sys = native()
  const command = value === true ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING
  const text = value === true ? null : value
  const result = sys.fsconfig(SYS.fsconfig, fd, command, key, text, 0)
  checked(sys, `fsconfig ${key}`, result, () => readLog(fd))
}

/** Makes the file system and a mount of it that is nowhere yet. @returns a descriptor that the caller closes */
export function fsmount(fd: number): number {
  const sys = native()
  const result = sys.fsconfig(SYS.fsconfig, fd, FSCONFIG_CMD_CREATE, null, null, 0)
  checked(sys, 'fsconfig create', result, () => readLog(fd))
  return checked(sys, 'fsmount', sys.fsmount(SYS.fsmount, fd, FSMOUNT_CLOEXEC, 0))
}

/** Attaches what {@link fsmount} made. */
export function moveMount(fd: number, target: string): void {
  const sys = native()
  const result = sys.moveMount(SYS.moveMount, fd, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)
  checked(sys, 'move_mount', result)
}

/**
 * Shows a directory or file at a second place, where ids are those that a user namespace gives them: what is stored as its
 * root's is, seen through that place, its root's. Without what is mounted below. Needs Linux 5.12, and a file system that can.
 *
 * @param namespace descriptor of the user namespace
 */
export function bindMapped(source: string, target: string, namespace: number): void {
  const sys = native()
  const flags = OPEN_TREE_CLONE | O_CLOEXEC
  const tree = checked(sys, 'open_tree', sys.openTree(SYS.openTree, AT_FDCWD, source, flags))
  try {
    setMountAttributes(sys, tree, { set: MOUNT_ATTR_IDMAP, namespace })
    moveMount(tree, target)
  } finally {
    closeSync(tree)
  }
}

/**
 * Shows a directory that a process sees at `source` at a second place of the host, without its devices, programs and what is mounted below
 * it. No part of `source` may be a link. This thread is where the process is for a moment, and back before anything else
 * can run on it.
 */
export function bindFrom(pid: number, source: string, target: string): void {
  const sys = native()
  const tree = withinMountsOf(sys, pid, () => {
    const resolve = RESOLVE.noSymlinks | RESOLVE.noMagiclinks
    const dir = openat2(AT_FDCWD, source, O_PATH | constants.O_DIRECTORY, resolve)
    try {
      const flags = OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH
      return checked(sys, 'open_tree', sys.openTree(SYS.openTree, dir, '', flags))
    } finally {
      closeSync(dir)
    }
  })
  try {
    setMountAttributes(sys, tree, { set: MOUNT_ATTR_CONFINED, propagation: MS_PRIVATE })
    moveMount(tree, target)
  } finally {
    closeSync(tree)
  }
}

/** The thread's root and working directory are its own from then on: who shares them can't go to other mounts. */
function withinMountsOf<T>(sys: Native, pid: number, work: () => T): T {
  const places = ['/proc/thread-self/ns/mnt', '/', '.', `/proc/${pid}/ns/mnt`] as const
  const [own, root, here, there] = places.map((path) => openSync(path, 'r')) as [
    number,
    number,
    number,
    number,
  ]
  try {
    checked(sys, 'unshare', sys.unshare(CLONE_FS))
    checked(sys, 'setns', sys.setns(there, CLONE_NEWNS))
    try {
      return work()
    } finally {
      checked(sys, 'setns', sys.setns(own, CLONE_NEWNS))
      checked(sys, 'fchdir', sys.fchdir(root))
      checked(sys, 'chroot', sys.chroot('.'))
      checked(sys, 'fchdir', sys.fchdir(here))
    }
  } finally {
    for (const fd of [own, root, here, there]) closeSync(fd)
  }
}

function setMountAttributes(
  sys: Native,
  tree: number,
  {
    set,
    propagation = 0,
    namespace = 0,
  }: {
    readonly set: number
    readonly propagation?: number
    readonly namespace?: number
  },
): void {
  const attributes = Buffer.alloc(32) // struct mount_attr: set, clear, propagation, userns_fd
  for (const [at, value] of [set, 0, propagation, namespace].entries()) {
    attributes.writeBigUInt64LE(BigInt(value), at * 8)
  }
  const { length } = attributes
  const result = sys.mountSetattr(SYS.mountSetattr, tree, '', AT_EMPTY_PATH, attributes, length)
  checked(sys, 'mount_setattr', result)
}

/** mount(2) with its option string, which ends at a page: the way before Linux 6.8. */
export function mount(source: string, target: string, type: string, options: string): void {
  const sys = native()
  checked(sys, 'mount', sys.mount(source, target, type, 0, options))
}

/** Shows a directory or file at a second place, without what is mounted below it. */
export function bindMount(source: string, target: string): void {
  const sys = native()
  checked(sys, 'mount', sys.mount(source, target, null, MS_BIND, null))
}

/** Has what is mounted at a place refuse writes. */
export function makeMountReadOnly(target: string): void {
  const sys = native()
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY
  checked(sys, 'mount', sys.mount(null, target, null, flags, null))
}

/**
 * Unmounts what is on top at `target`, never through a symlink. What is busy goes out of sight at once and ends with
 * its last user.
 */
export function unmount(target: string): void {
  const sys = native()
  if (sys.umount2(target, UMOUNT_NOFOLLOW) === 0) return
  if (sys.errno() === 'EINVAL') return // not mounted (any more)
  checked(sys, 'umount2', sys.umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH))
}

/** Makes a directory a mount of its own whose mounts are seen by other mount namespaces, too (mount_namespaces(7)), unless it is. */
export function shareDirectory(path: string): void {
  const sys = native()
  const share = () => sys.mount(null, path, null, MS_SHARED | MS_REC, null)
  if (share() === 0) return
  if (sys.errno() === 'EINVAL') {
    checked(sys, 'mount', sys.mount(path, path, null, MS_BIND | MS_REC, null))
  }
  checked(sys, 'mount', share())
}

/**
 * Makes a network namespace and mounts it on a file, so that it lives without a process. This thread is in it for a
 * moment, and back before anything else can run on it.
 */
export function makeNetworkNamespace(path: string): void {
  const sys = native()
  closeSync(openSync(path, 'w', 0o600))
  const own = openSync('/proc/thread-self/ns/net', 'r')
  try {
    checked(sys, 'unshare', sys.unshare(CLONE_NEWNET))
    try {
      checked(sys, 'mount', sys.mount('/proc/thread-self/ns/net', path, null, MS_BIND, null))
    } finally {
      checked(sys, 'setns', sys.setns(own, CLONE_NEWNET))
    }
  } finally {
    closeSync(own)
  }
}

/** Locks an open file without waiting; false when somebody else holds it. The lock ends with the descriptor. */
export function tryLock(fd: number): boolean {
  const sys = native()
  const result = sys.flock(fd, LOCK_EX_NB)
  if (result < 0 && sys.errno() === 'EAGAIN') return false
  checked(sys, 'flock', result)
  return true
}

/** Opens `path` relative to a directory, resolved as `resolve` ({@link RESOLVE}, or'ed) says. Needs Linux 5.6. */
export function openat2(dir: number, path: string, flags: number, resolve: number): number {
  const sys = native()
  const how = Buffer.alloc(24) // struct open_how: flags, mode, resolve
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
  how.writeBigUInt64LE(BigInt(resolve), 16)
  for (let tries = 1; ; tries++) {
    const fd = sys.openat2(SYS.openat2, dir, path, how, how.length)
    // Anybody on the host renamed or mounted something while a `..` was followed.
    if (fd < 0 && sys.errno() === 'EAGAIN' && tries < OPENAT2_TRIES) continue
    return checked(sys, 'openat2', fd)
  }
}

/**
 * Connects to a UNIX socket of packets, the only kind that Node has no class for. One read is one packet.
 *
 * @param path at most 107 bytes (unix(7))
 * @returns a descriptor that the caller closes
 */
export function connectPackets(path: string): number {
  const sys = native()
  const fd = checked(sys, 'socket', sys.socket(AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0))
  const address = Buffer.alloc(110) // struct sockaddr_un
  address.writeUInt16LE(AF_UNIX, 0)
  address.write(path, 2, 107)
  try {
    checked(sys, 'connect', sys.connect(fd, address, address.length))
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Ends one direction of a socket, or both; whoever waits for something from it wakes up. */
export function shutdownSocket(fd: number, how: 'read' | 'write' | 'both'): void {
  native().shutdown(fd, ['read', 'write', 'both'].indexOf(how))
}

/**
 * Has a terminal in raw mode show what comes as it is: Node's leaves it to put a carriage return before each line feed, where programs
 * mean one line down.
 */
export function showOutputAsIs(fd: number): void {
  const sys = native()
  const settings = Buffer.alloc(64) // struct termios: input flags, output flags, ...
  checked(sys, 'tcgetattr', sys.tcgetattr(fd, settings))
  settings.writeUInt32LE((settings.readUInt32LE(4) & ~OPOST) >>> 0, 4)
  checked(sys, 'tcsetattr', sys.tcsetattr(fd, 0, settings))
}

/** Marks every descriptor but 0, 1 and 2 of this process to close in the programs it starts. Older than Linux 5.11: does nothing. */
export function keepDescriptorsPrivate(): void {
  native().closeRange(SYS.closeRange, 3, 0xffffffff, CLOSE_RANGE_CLOEXEC)
}

/** What the kernel says about a file system's options, one message a read, in the form `e overlay: text`. */
function readLog(fd: number): string {
  const lines: string[] = []
  const line = Buffer.alloc(1024)
  try {
    while (lines.length < 8) {
      lines.push(line.toString('utf8', 2, readSync(fd, line)).trim())
    }
  } catch {
    // ENODATA: no more messages.
  }
  return lines.join('; ')
}
