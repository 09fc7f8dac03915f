import { DrayError } from '#oci/error.ts'
import type { Capabilities } from '#oci/runtime-spec.ts'
import type { ContainerOptions } from '../options.ts'

/** The capabilities that root has inside: without those that make devices, raw packets or audit records. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]

/** All of them by their numbers (linux/capability.h), as of Linux 5.9. */
const ALL_CAPABILITIES: readonly string[] = [
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE',
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN',
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE',
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE',
]
  .flatMap((line) => line.split(' '))
  .map((name) => `CAP_${name}`)

/** The capabilities that a process can hand on at most, from the text of /proc/PID/status. */
export function capabilitiesIn(statusText: string): string[] {
  const mask = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(statusText)?.[1] ?? '0'}`)
  return ALL_CAPABILITIES.filter((_, number) => (mask & (1n << BigInt(number))) !== 0n)
}

/**
 * Those that the options leave, sorted. What is dropped by name is dropped, whatever adds `ALL`; and `ALL` is what this host has.
 *
 * @throws USAGE
 */
export function boundingSet(
  options: ContainerOptions,
  ofHost: readonly string[] = ALL_CAPABILITIES,
): string[] {
  const { capAdd = [], capDrop = [] } = options
  const added = capAdd.map(parseCapability)
  const dropped = capDrop.map(parseCapability)
  const all = options.privileged || added.includes('ALL')
  const base = all ? ofHost : dropped.includes('ALL') ? [] : DEFAULT_CAPABILITIES
  const wanted = new Set([...base, ...added.filter((name) => name !== 'ALL')])
  for (const name of dropped) if (all || !added.includes(name)) wanted.delete(name)
  return [...wanted].sort()
}

/**
 * Only root has them in effect; another user has those that were added by name, as docker has it. Nothing is inheritable: a
 * program with file capabilities would gain them.
 */
export function capabilitiesOf(
  uid: number,
  options: ContainerOptions,
  ofHost?: readonly string[],
): Capabilities {
  const bounding = boundingSet(options, ofHost)
  const added = (options.capAdd ?? []).map(parseCapability)
  const held = uid === 0 ? bounding : []
  const ambient = uid === 0 ? [] : bounding.filter((name) => added.includes(name))
  return {
    bounding,
    effective: [...held, ...ambient],
    permitted: [...held, ...ambient],
    // The kernel wants them here too before it takes them as ambient.
    inheritable: ambient,
    ambient,
  }
}

/** With or without CAP_, in either case. @throws USAGE */
export function parseCapability(text: string): string {
  const upper = text.toUpperCase()
  if (upper === 'ALL') return upper
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
  if (ALL_CAPABILITIES.includes(name)) return name
  throw new DrayError('USAGE', `no such capability: ${text} (capabilities(7) lists them)`)
}
