import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { SeccompRule } from '#oci/runtime-spec.ts'
import { complement, seccompProfile } from '#runner/seccomp.ts'
import { allowedSyscalls } from '#runner/seccomp-syscalls.ts'

const PROFILE = seccompProfile('x64')

/** Each would let a container reach beyond itself, or is a frequent way to attack the kernel. */
const NEVER = [
  'acct add_key bpf clock_settime clock_settime64 create_module delete_module fanotify_init finit_module fsconfig fsmount',
  'fsopen fspick get_kernel_syms init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp',
  'kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages modify_ldt mount mount_setattr move_mount',
  'move_pages nfsservctl open_by_handle_at open_tree perf_event_open pivot_root query_module quotactl quotactl_fd reboot',
  'request_key set_mempolicy setdomainname sethostname setns settimeofday stime swapoff swapon sysfs syslog umount umount2',
  'unshare uselib userfaultfd ustat vhangup vm86 vm86old',
].flatMap((line) => line.split(' '))

const CONDITIONAL = ['clone', 'clone3', 'ioctl', 'personality', 'socket', 'socketcall']

function rulesOf(name: string): SeccompRule[] {
  return PROFILE.syscalls.filter((rule) => rule.names.includes(name))
}

/** What the filter does with a call, one argument of which is given: as libseccomp reads the rules. */
function isAllowed(name: string, value: bigint): boolean {
  return rulesOf(name).some(({ action, args = [] }) => {
    const matches = args.every((argument) => {
      if (argument.op === 'SCMP_CMP_EQ') return value === BigInt(argument.value)
      assert.equal(argument.op, 'SCMP_CMP_MASKED_EQ')
      return (value & BigInt(argument.value)) === BigInt(argument.valueTwo ?? 0)
    })
    return matches && action === 'SCMP_ACT_ALLOW'
  })
}

describe('the seccomp profile', () => {
  it('refuses by default', () => {
    assert.equal(PROFILE.defaultAction, 'SCMP_ACT_ERRNO')
    assert.equal(PROFILE.defaultErrnoRet, 1)
  })

  it('names each unconditional system call once', () => {
    const names = allowedSyscalls()
    assert.deepEqual(
      names.filter((name, at) => names.indexOf(name) !== at),
      [],
    )
    assert.ok(names.every((name) => /^_?[a-z][a-z0-9_]*$/.test(name)))
    assert.ok(names.length > 300)
  })

  it('has no unconditional rule for what depends on an argument', () => {
    const names = new Set<string>(allowedSyscalls())
    assert.deepEqual(
      CONDITIONAL.filter((name) => names.has(name)),
      [],
    )
  })

  it('mentions no call that reaches beyond the container', () => {
    assert.deepEqual(
      NEVER.filter((name) => rulesOf(name).length > 0),
      [],
    )
  })

  it('knows the processors that Dray runs on, and says so of others', () => {
    assert.ok(seccompProfile('arm64').architectures.includes('SCMP_ARCH_AARCH64'))
    assert.throws(() => seccompProfile('riscv64'), { code: 'RUN_FAILED' })
    assert.throws(() => seccompProfile('constructor'), { code: 'RUN_FAILED' })
  })

  it('allows clone without namespace flags only', () => {
    assert.equal(isAllowed('clone', 0x11n), true)
    assert.equal(isAllowed('clone', 0x3d0f00n), true) // a thread of glibc
    for (let bit = 25n; bit <= 30n; bit++) assert.equal(isAllowed('clone', 1n << bit), false)
    assert.equal(isAllowed('clone', 0x20000n), false)
  })

  it('answers clone3 as a kernel does that lacks it', () => {
    assert.deepEqual(rulesOf('clone3'), [
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
    ])
  })

  it('allows sockets of the container’s own networks only', () => {
    for (const family of [1n, 2n, 10n, 16n]) assert.equal(isAllowed('socket', family), true)
    for (const family of [0n, 17n, 31n, 38n, 40n]) assert.equal(isAllowed('socket', family), false)
    assert.equal(isAllowed('socket', 40n | (1n << 32n)), false)
    assert.equal(isAllowed('socketcall', 1n), false)
    assert.equal(isAllowed('socketcall', 3n), true)
  })

  it('allows every ioctl but typing into terminals, whatever the high bits', () => {
    for (const high of [0n, 1n << 32n, 1n << 63n]) {
      assert.equal(isAllowed('ioctl', 0x5412n | high), false)
      assert.equal(isAllowed('ioctl', 0x541cn | high), false)
      assert.equal(isAllowed('ioctl', 0x5413n | high), true)
    }
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), (request) => {
        assert.equal(isAllowed('ioctl', request), request !== 0x5412n && request !== 0x541cn)
      }),
    )
  })

  it('can exclude any set of numbers', () => {
    const number = fc.integer({ min: 0, max: 2 ** 32 - 1 })
    fc.assert(
      fc.property(fc.uniqueArray(number, { maxLength: 5 }), number, (excluded, other) => {
        const sets = complement(excluded)
        const hits = (value: number) =>
          sets.filter((set) => (BigInt(value) & BigInt(set.mask)) === BigInt(set.value)).length
        assert.deepEqual(
          excluded.map(hits),
          excluded.map(() => 0),
        )
        assert.equal(hits(other), excluded.includes(other) ? 0 : 1)
      }),
    )
  })
})
