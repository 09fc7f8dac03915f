import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cgroups } from '../cgroup.ts'

/**
 * Moves a process that is to outlive this one out of the cgroup of whoever calls, with which it would be killed: a session that
 * ends, a service that stops.
 */
export function moveToMonitors(pid: number, cgroups: Cgroups): void {
  for (const mountPoint of cgroups.mountPoints.filter(hasProcessesOnly(cgroups))) {
    try {
      const dir = join(mountPoint, 'dray/monitors')
      mkdirSync(dir, { recursive: true })
      writeFileSync(join(dir, 'cgroup.procs'), String(pid))
    } catch {
      // Where it stays, it works as well.
    }
  }
}

/** The hierarchies that sort processes: systemd's own, and v2. */
function hasProcessesOnly({ mode }: Cgroups): (mountPoint: string) => boolean {
  return (mountPoint) => mode === 'v2' || /\/(?:systemd|unified)$/.test(mountPoint)
}
