import { readFileSync } from 'node:fs'

/** The most memory that a process has taken, in bytes (proc(5), VmHWM); 0 when it has ended. */
export function peakMemory(pid: number): number {
  try {
    const [, kib] =
      /^VmHWM:\s*([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? []
    return Number(kib ?? 0) * 1024
  } catch {
    return 0
  }
}
