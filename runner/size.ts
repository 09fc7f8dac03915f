import { DrayError } from '#oci/error.ts'

const UNITS = ['', 'k', 'm', 'g', 't', 'p']

/** Less than this, not even the OCI runtime itself starts inside; Docker has the same bound. */
const LEAST_MEMORY = 6 * 2 ** 20

/**
 * Parses a size such as `64m`, `1.5g`, `64MB`, `64MiB` or `1048576`: powers of 1024 whichever way they are written, as docker
 * has it, up to p.
 *
 * @returns whole bytes, below 2^53
 * @throws USAGE
 */
export function parseBytes(text: string): number {
  const match = /^(\d{1,16}(?:\.\d{1,6})?)([kmgtp]?)(?:i?b)?$/i.exec(text)
  const bytes = Number(match?.[1]) * 1024 ** UNITS.indexOf(match?.[2]?.toLowerCase() ?? '')
  if (Number.isSafeInteger(Math.floor(bytes))) return Math.floor(bytes)
  throw usage(`invalid size ${JSON.stringify(text)}: write a number with b, k, m or g, such as 64m`)
}

/** {@link parseBytes} for `--memory`: at least 6 MiB, or 0 for no limit. @throws USAGE */
export function parseMemory(text: string): number | undefined {
  const bytes = parseBytes(text)
  if (bytes === 0) return undefined
  if (bytes >= LEAST_MEMORY) return bytes
  throw usage(`a memory limit of ${text} is too low: give at least 6m`)
}

/** {@link parseBytes} for `--memory-swap`, -1 for no limit. @throws USAGE */
export function parseMemorySwap(text: string): number {
  return text === '-1' ? -1 : parseBytes(text)
}

/** Parses a number of CPUs such as `2` or `0.5`: at least 0.01, or 0 for no limit. @throws USAGE */
export function parseCpus(text: string): number | undefined {
  if (/^0(?:\.0+)?$/.test(text)) return undefined
  const cpus = /^(?:\d{1,5}(?:\.\d{1,9})?|\.\d{1,9})$/.test(text) ? Number(text) : 0
  if (cpus >= 0.01) return cpus
  throw usage(`invalid number of CPUs ${JSON.stringify(text)}: write 0.01 or more, such as 1.5`)
}

/** Parses `--cpu-shares`, 0 for what is usual; the bounds are the kernel's. @throws USAGE */
export function parseCpuShares(text: string): number | undefined {
  const shares = /^\d{1,6}$/.test(text) ? Number(text) : -1
  if (shares === 0) return undefined
  if (shares >= 2 && shares <= 262_144) return shares
  throw usage(`invalid CPU shares ${JSON.stringify(text)}: write a number from 2 to 262144`)
}

/** Parses `--pids-limit`: a positive number, or -1 or 0 for no limit. @throws USAGE */
export function parsePidsLimit(text: string): number {
  if (/^(?:-1|\d{1,9})$/.test(text)) return Number(text) || -1
  throw usage(`invalid limit ${JSON.stringify(text)}: write a number of processes, or -1 for none`)
}

function usage(message: string): DrayError {
  return new DrayError('USAGE', message)
}
