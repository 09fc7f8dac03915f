import { createRequire } from 'node:module'
import { errnoNames, type SyscallDetail } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'

/** The functions of libc that sys.ts calls, and what their failures are. */

type Argument = string | number | bigint | Buffer | null
type Call = (...args: readonly Argument[]) => number

/** One function each; what isn't there under its own name goes by syscall(2). */
export interface Native {
  readonly mount: Call
  readonly umount2: Call
  readonly flock: Call
  readonly fsopen: Call
  readonly fsconfig: Call
  readonly fsmount: Call
  readonly moveMount: Call
  readonly openTree: Call
  readonly mountSetattr: Call
  readonly openat2: Call
  readonly closeRange: Call
  readonly unshare: Call
  readonly setns: Call
  readonly fchdir: Call
  readonly chroot: Call
  readonly socket: Call
  readonly connect: Call
  readonly shutdown: Call
  readonly tcgetattr: Call
  readonly tcsetattr: Call
  errno(): string
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSYS: 'the kernel lacks it: Linux 5.6 or newer is needed',
  EPERM: 'run as root, and outside of containers that forbid it',
}

/** What a call returned. @throws SYSCALL_FAILED where that is negative, with what `explain` adds */
export function checked(sys: Native, call: string, result: number, explain = () => ''): number {
  if (result >= 0) return result
  const errno = sys.errno()
  const detail: SyscallDetail = { call, errno }
  const why = [explain(), ADVICE[errno]].filter(Boolean).join('; ')
  throw new DrayError('SYSCALL_FAILED', `${call}: ${errno}${why === '' ? '' : ` (${why})`}`, {
    detail,
  })
}

let loaded: Native | undefined

/** Loads them at the first call. */
export function native(): Native {
  loaded ??= load()
  return loaded
}

function load(): Native {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const libc = koffi.load(null)
  const nameOf = errnoNames(koffi.os.errno)
  const syscall = (args: string) => libc.func(`long syscall(long number, ${args})`) as Call
  return {
    mount: libc.func(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
    ),
    umount2: libc.func('int umount2(const char *target, int flags)'),
    flock: libc.func('int flock(int fd, int operation)'),
    fsopen: syscall('const char *type, long flags'),
    fsconfig: syscall('long fd, long command, const char *key, const char *value, long aux'),
    fsmount: syscall('long fd, long flags, long attributes'),
    moveMount: syscall(
      'long fromFd, const char *fromPath, long toFd, const char *toPath, long flags',
    ),
    openTree: syscall('long dir, const char *path, long flags'),
    mountSetattr: syscall(
      'long dir, const char *path, long flags, const uint8_t *attributes, size_t size',
    ),
    openat2: syscall('long dir, const char *path, const uint8_t *how, size_t size'),
    unshare: libc.func('int unshare(int flags)'),
    setns: libc.func('int setns(int fd, int type)'),
    fchdir: libc.func('int fchdir(int fd)'),
    chroot: libc.func('int chroot(const char *path)'),
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    connect: libc.func('int connect(int fd, const uint8_t *address, unsigned int length)'),
    shutdown: libc.func('int shutdown(int fd, int how)'),
    tcgetattr: libc.func('int tcgetattr(int fd, uint8_t *settings)'),
    tcsetattr: libc.func('int tcsetattr(int fd, int when, const uint8_t *settings)'),
    closeRange: syscall('long first, long last, long flags'),
    errno: () => nameOf(koffi.errno()),
  }
}
