import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { elfOf, type Syscall } from './support/elf.ts'
import { playground, runIn } from './support/run.ts'

const { EPERM, ENOSYS, EINVAL, EBADF, EFAULT, ENOTTY, EAFNOSUPPORT } = constants.errno

// Numbers of asm/unistd_64.h (x86_64) and asm-generic/unistd.h (arm64); those above 424 are the same.
const same = (number: number): Syscall['number'] => ({ x64: number, arm64: number })
const SOCKET = { x64: 41, arm64: 198 }
const CLONE = { x64: 56, arm64: 220 }
const IOCTL = { x64: 16, arm64: 29 }
const PERSONALITY = { x64: 135, arm64: 92 }

const NEWUSER = 0x10000000n
const SIGCHLD = 17n

const PROBES: Readonly<Record<string, readonly [Syscall, expected: readonly number[]]>> = {
  'unshare(NEWUSER)': [{ number: { x64: 272, arm64: 97 }, args: [NEWUSER] }, [EPERM]],
  setns: [{ number: { x64: 308, arm64: 268 }, args: [0n, 0n] }, [EPERM]],
  mount: [{ number: { x64: 165, arm64: 40 } }, [EPERM]],
  umount2: [{ number: { x64: 166, arm64: 39 } }, [EPERM]],
  pivot_root: [{ number: { x64: 155, arm64: 41 } }, [EPERM]],
  fsopen: [{ number: same(430) }, [EPERM]],
  open_tree: [{ number: same(428) }, [EPERM]],
  move_mount: [{ number: same(429) }, [EPERM]],
  mount_setattr: [{ number: same(442) }, [EPERM]],
  bpf: [{ number: { x64: 321, arm64: 280 } }, [EPERM]],
  keyctl: [{ number: { x64: 250, arm64: 219 } }, [EPERM]],
  add_key: [{ number: { x64: 248, arm64: 217 } }, [EPERM]],
  perf_event_open: [{ number: { x64: 298, arm64: 241 } }, [EPERM]],
  userfaultfd: [{ number: { x64: 323, arm64: 282 }, args: [1n] }, [EPERM]],
  io_uring_setup: [{ number: same(425) }, [EPERM]],
  open_by_handle_at: [{ number: { x64: 304, arm64: 265 } }, [EPERM]],
  kexec_load: [{ number: { x64: 246, arm64: 104 } }, [EPERM]],
  init_module: [{ number: { x64: 175, arm64: 105 } }, [EPERM]],
  syslog: [{ number: { x64: 103, arm64: 116 }, args: [10n] }, [EPERM]],
  clone3: [{ number: same(435) }, [ENOSYS]],
  'clone(NEWUSER)': [{ number: CLONE, args: [NEWUSER | SIGCHLD] }, [EPERM]],
  'clone(SIGCHLD)': [{ number: CLONE, args: [SIGCHLD] }, [0]],
  'socket(AF_VSOCK)': [{ number: SOCKET, args: [40n, 1n, 0n] }, [EPERM]],
  'socket(AF_ALG)': [{ number: SOCKET, args: [38n, 5n, 0n] }, [EPERM]],
  'socket(AF_PACKET)': [{ number: SOCKET, args: [17n, 3n, 0n] }, [EPERM]],
  'socket(AF_INET)': [{ number: SOCKET, args: [2n, 1n, 0n] }, [0]],
  'socket(AF_UNIX)': [{ number: SOCKET, args: [1n, 1n, 0n] }, [0]],
  'socket(AF_INET6)': [{ number: SOCKET, args: [10n, 1n, 0n] }, [0, EAFNOSUPPORT]],
  'socket(AF_NETLINK)': [{ number: SOCKET, args: [16n, 3n, 0n] }, [0]],
  'ioctl(TIOCSTI)': [{ number: IOCTL, args: [0n, 0x5412n, 0n] }, [EPERM]],
  'ioctl(TIOCSTI, high bits set)': [{ number: IOCTL, args: [0n, 0x100005412n, 0n] }, [EPERM]],
  'ioctl(TIOCLINUX)': [{ number: IOCTL, args: [0n, 0x541cn, 0n] }, [EPERM]],
  'ioctl(TCGETS)': [{ number: IOCTL, args: [0n, 0x5401n, 0n] }, [ENOTTY]],
  'personality(ask)': [{ number: PERSONALITY, args: [0xffffffffn] }, [0]],
  'personality(ADDR_NO_RANDOMIZE)': [{ number: PERSONALITY, args: [0x40000n] }, [EPERM]],
  'ptrace(TRACEME)': [{ number: { x64: 101, arm64: 117 }, args: [0n] }, [0]],
  memfd_create: [{ number: { x64: 319, arm64: 279 }, args: [0n] }, [EFAULT]],
  statx: [{ number: { x64: 332, arm64: 291 } }, [EFAULT]],
  openat2: [{ number: same(437) }, [EINVAL]],
  pidfd_open: [{ number: same(434), args: [1n, 0n] }, [0]],
  copy_file_range: [{ number: { x64: 326, arm64: 285 }, args: [99n, 0n, 99n] }, [EBADF]],
}

describe('in a container, a system call', () => {
  it('is answered as the profile says', async (t) => {
    const place = playground(t)
    for (const [index, [syscall]] of Object.values(PROBES).entries()) {
      writeFileSync(join(place.layer, `probe-${index}`), elfOf(syscall), { mode: 0o755 })
    }
    const count = Object.keys(PROBES).length
    const { stdout } = await runIn(
      place,
      `for i in $(seq 0 ${count - 1}); do /probe-$i; echo $?; done`,
    )
    const answers = stdout.trim().split('\n').map(Number)
    const wrong = Object.entries(PROBES).flatMap(([name, [, expected]], index) => {
      const answer = answers[index] ?? -1
      return expected.includes(answer) ? [] : [`${name}: errno ${answer}, not ${expected}`]
    })
    assert.deepEqual(wrong, [])
  })

  it('that the kernel allows outside is refused by the profile, not by chance', async (t) => {
    const place = playground(t)
    const [syscall] = PROBES['socket(AF_ALG)'] ?? []
    assert.ok(syscall)
    const program = join(place.dir, 'probe')
    writeFileSync(program, elfOf({ ...syscall, args: [1n, 1n, 0n] }), { mode: 0o755 })
    const { execFileSync } = await import('node:child_process')
    execFileSync(program)
  })
})
