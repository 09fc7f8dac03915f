import { DrayError } from '#oci/error.ts'
import type { Seccomp, SeccompArgument, SeccompRule } from '#oci/runtime-spec.ts'
import { allowedSyscalls, syscallsWith } from './seccomp-syscalls.ts'

const ALLOW = 'SCMP_ACT_ALLOW'
const EPERM = 1
const ENOSYS = 38

/** The ABIs whose calls are filtered; a call by any other one kills the process. */
const ARCHITECTURES = new Map([
  ['x64', ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']],
  ['arm64', ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']],
])

// linux/sched.h: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NAMESPACE_FLAGS =
  0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

// linux/personality.h: Linux, 32 bit, each also with UNAME26 (0x20000), and 0xffffffff, which only asks. Others switch
// off address randomisation or map the zero page.
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

// AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. Not AF_VSOCK, which reaches a virtual machine's host through every network
// namespace, nor the many families that exist as modules with bugs (AF_ALG, AF_PACKET, AF_TIPC, ...).
const SOCKET_FAMILIES = [1, 2, 10, 16]
const AF_PACKET = 17

// asm-generic/ioctls.h: TIOCSTI types into the terminal, TIOCLINUX pastes into the console.
const TERMINAL_INJECTIONS = [0x5412, 0x541c]

// linux/net.h: what the one call of 32-bit programs multiplexes, without SYS_SOCKET (1), whose family can't be seen
// from here. Such programs use the direct call where their libc is built for it.
const SOCKET_CALLS = Array.from({ length: 19 }, (_, index) => index + 2)

/**
 * The system calls that a container may make: those of a list, some of them depending on an argument, and EPERM for all
 * others.
 *
 * @param architecture Node's name of the processor architecture
 * @param capabilities that the container has: what the kernel checks by one of them may be called with it
 * @throws RUN_FAILED for an architecture without a profile
 */
export function seccompProfile(
  architecture: string,
  capabilities: readonly string[] = [],
): Seccomp {
  const architectures = ARCHITECTURES.get(architecture)
  if (architectures === undefined) {
    throw new DrayError('RUN_FAILED', `there is no seccomp profile for ${architecture} processors`)
  }
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures,
    syscalls: [
      { names: [...allowedSyscalls(), ...syscallsWith(capabilities)], action: ALLOW },
      ...conditionalRules(capabilities),
    ],
  }
}

/**
 * Each is a list of what is allowed, never of what is refused: the kernel looks at 32 bits of some arguments while the
 * filter compares 64, so that `not equal` could be passed by a bit that the kernel ignores.
 */
function conditionalRules(capabilities: readonly string[]): SeccompRule[] {
  // Who may mount may make namespaces: what they keep apart is open to them.
  const isAdmin = capabilities.includes('CAP_SYS_ADMIN')
  return [
    // New processes and threads, no new namespaces: in a user namespace a process has all capabilities again.
    isAdmin
      ? { names: ['clone'], action: ALLOW }
      : allowWhen('clone', {
          index: 0,
          op: 'SCMP_CMP_MASKED_EQ',
          value: NAMESPACE_FLAGS,
          valueTwo: 0,
        }),
    // Its flags are in memory, out of the filter's sight. Without it, libc takes clone.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ...PERSONALITIES.map((value) => allowWhen('personality', equal(value))),
    ...[...SOCKET_FAMILIES, ...(capabilities.includes('CAP_NET_RAW') ? [AF_PACKET] : [])].map(
      (value) => allowWhen('socket', equal(value)),
    ),
    ...SOCKET_CALLS.map((value) => allowWhen('socketcall', equal(value))),
    ...complement(TERMINAL_INJECTIONS).map(({ mask, value }) =>
      allowWhen('ioctl', { index: 1, op: 'SCMP_CMP_MASKED_EQ', value: mask, valueTwo: value }),
    ),
  ]
}

function allowWhen(name: string, argument: SeccompArgument): SeccompRule {
  return { names: [name], action: ALLOW, args: [argument] }
}

function equal(value: number): SeccompArgument {
  return { index: 0, op: 'SCMP_CMP_EQ', value }
}

/** All numbers `n` with `n & mask === value`. */
export interface Masked {
  readonly mask: number
  readonly value: number
}

/**
 * Every 32-bit number but `excluded`, as disjoint masked sets: for each bit from the highest, those that share all
 * higher bits with an excluded number and differ from all of them in this one. libseccomp has no `masked not equal`.
 */
export function complement(excluded: readonly number[], bit = 31, prefix: Masked = ANY): Masked[] {
  if (excluded.length === 0) return [prefix]
  if (bit < 0) return []
  return [0, 1].flatMap((digit) => {
    const side = excluded.filter((number) => Math.floor(number / 2 ** bit) % 2 === digit)
    const mask = prefix.mask + 2 ** bit
    return complement(side, bit - 1, { mask, value: prefix.value + digit * 2 ** bit })
  })
}

const ANY: Masked = { mask: 0, value: 0 }
