import { type CgroupUsage, readUsage } from '../cgroup-usage.ts'
import { cgroupOf } from '../cgroup-path.ts'
import type { Container } from '../containers/state.ts'
import { requireRunning } from './kill.ts'
import { readText } from '../read-text.ts'

/** What a container uses at a moment. Bytes and numbers since its start, unless they say otherwise. */
export interface Usage extends CgroupUsage {
  /** `performance.now()` of the reading. */
  readonly atMs: number
  readonly networkIn: number
  readonly networkOut: number
}

/** Reads what a container uses now. @throws CONTAINER_STATE when it doesn't run */
export function containerUsage(container: Container): Usage {
  const pid = requireRunning(container)
  const { networkIn, networkOut } = readTraffic(pid)
  return {
    atMs: performance.now(),
    networkIn,
    networkOut,
    ...readUsage(cgroupOf(container.id, container.record.options)),
  }
}

/** CPUs in use between two readings, in percent of one. */
export function cpuPercent(before: Usage, after: Usage): number {
  const ms = after.atMs - before.atMs
  return ms <= 0 ? 0 : ((after.cpuNs - before.cpuNs) / 1e6 / ms) * 100
}

/** All interfaces but the loopback one, from /proc/PID/net/dev. */
function readTraffic(pid: number): { readonly networkIn: number; readonly networkOut: number } {
  let [networkIn, networkOut] = [0, 0]
  for (const line of readText(`/proc/${pid}/net/dev`).split('\n').slice(2)) {
    const [name, counters = ''] = line.trim().split(/:\s*/)
    const numbers = counters.split(/\s+/).map(Number)
    if (name === 'lo') continue
    networkIn += numbers[0] ?? 0
    networkOut += numbers[8] ?? 0
  }
  return { networkIn, networkOut }
}
