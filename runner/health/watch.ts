import { spawn } from 'node:child_process'
import type { Cgroups } from '../cgroup.ts'
import type { ContainerPaths } from '../layout.ts'
import { moveToMonitors } from '../monitor/own-cgroup.ts'
import { startTicks } from '../processes.ts'
import { keepDescriptorsPrivate } from '../sys.ts'
import { writeWatch } from './health.ts'

/**
 * Waits and has a check made, again and again. The first line that it reads is how long to wait, and so is what a check
 * prints; nothing, when the container has ended, which sleep(1) refuses.
 */
const LOOP =
  'read -r pause; exec </dev/null; while sleep "$pause"; do next=$("$@") && pause=$next; done'

/**
 * Starts what checks the health of a container as long as it runs: a shell, whatever becomes of this process. It ends with
 * `endWatch`.
 */
export function startWatch(
  paths: ContainerPaths,
  options: {
    readonly command: readonly string[]
    readonly firstPauseMs: number
    readonly env: NodeJS.ProcessEnv
    readonly cgroups: Cgroups
  },
): void {
  keepDescriptorsPrivate()
  const child = spawn('/bin/sh', ['-c', LOOP, 'dray-health', ...options.command], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: options.env,
    detached: true,
  })
  // Without a pid there is nothing to be written down, and the health stays unknown.
  child.on('error', () => undefined)
  child.stdin.on('error', () => undefined)
  if (child.pid === undefined) return
  moveToMonitors(child.pid, options.cgroups)
  writeWatch(paths, { pid: child.pid, ticks: startTicks(child.pid) ?? '' })
  child.stdin.end(`${secondsOf(options.firstPauseMs)}\n`)
  child.unref()
}

/** As sleep(1) takes it. */
export function secondsOf(ms: number): string {
  return (ms / 1000).toFixed(3)
}
