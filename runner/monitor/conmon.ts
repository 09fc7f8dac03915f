import { execFile } from 'node:child_process'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { DrayError } from '#oci/error.ts'
import type { ContainerPaths } from '../layout.ts'
import type { LogOptions } from '../options.ts'
import { childrenOf, findPrograms, namespaceOf, sendSignal } from '../processes.ts'
import { findRuntime, type OciRuntime } from '../runtime.ts'
import { type MonitorSettings, startMonitor } from './process.ts'

const run = promisify(execFile)

/** A container to create, and what its monitor must know. */
export interface Monitored {
  readonly id: string
  readonly name: string
  readonly paths: ContainerPaths
  readonly runtime: OciRuntime
  /** Those before the command. */
  readonly runtimeArguments: readonly string[]
  readonly tty: boolean
  readonly interactive: boolean
  /** Seconds after which it kills the container. */
  readonly timeout?: number | undefined
  readonly log: LogOptions
  /** Program and arguments that the monitor starts when the container has ended. */
  readonly whenEnded: readonly string[]
}

/** How long a container's first process may be without the runtime that made it before anybody has heard of it. */
const ORPHANED_MS = 5000
const LOOK_EVERY_MS = 500

/** The first version of conmon that keeps more than one file of a log. */
const ROTATES_SINCE = [2, 2] as const

/** Where a container's output goes by default: a file that begins anew when it is full. */
export const DEFAULT_LOG: LogOptions = { driver: 'k8s-file', maxSize: 16 * 2 ** 20 }

/** @throws RUNTIME_UNAVAILABLE */
export function findMonitor(searchPath: string | undefined): string {
  const found = findRuntime('conmon', searchPath)
  if (found !== undefined) return found.path
  throw new DrayError(
    'RUNTIME_UNAVAILABLE',
    'conmon, which watches containers, is not installed. Try: apt-get install conmon',
  )
}

/** conmon's arguments (conmon(8)). Pure. */
export function monitorArguments(container: Monitored): string[] {
  const { id, paths, runtime, log } = container
  const [program, ...args] = container.whenEnded
  return [
    ...['--api-version', '1', '--cid', id, '--cuuid', id, '--name', container.name],
    ...['--bundle', paths.dir, '--persist-dir', paths.dir, '--full-attach'],
    ...['--container-pidfile', paths.pid, '--conmon-pidfile', paths.monitorPid],
    ...['--runtime', runtime.path],
    ...container.runtimeArguments.flatMap((word) => ['--runtime-arg', word]),
    ...logArguments(log, paths),
    ...(container.tty ? ['--terminal'] : []),
    ...(container.interactive ? ['--stdin'] : []),
    ...(container.timeout === undefined ? [] : ['--timeout', String(container.timeout)]),
    ...(program === undefined ? [] : ['--exit-command', program]),
    ...args.flatMap((arg) => ['--exit-command-arg', arg]),
  ]
}

function logArguments(log: LogOptions, paths: ContainerPaths): string[] {
  if (log.driver === 'none') return ['--log-path', 'none:']
  const tag = log.tag === undefined ? [] : ['--log-tag', log.tag]
  if (log.driver === 'journald') return ['--log-path', 'journald:', ...tag]
  const size = log.maxSize === undefined ? [] : ['--log-size-max', String(log.maxSize)]
  const others = (log.maxFiles ?? 1) - 1
  const files = others === 0 ? [] : ['--log-rotate', '--log-max-files', String(others)]
  return ['--log-path', `k8s-file:${paths.output}`, ...size, ...files, ...tag]
}

/**
 * Looks whether the monitor here can keep a log as it is asked to.
 *
 * @throws USAGE when it would forget all but one file
 * @throws RUNTIME_UNAVAILABLE
 */
export async function checkLog(
  log: LogOptions | undefined,
  searchPath: string | undefined,
): Promise<void> {
  if (log?.driver !== 'k8s-file' || log.maxFiles === undefined) return
  const { stdout } = await run(findMonitor(searchPath), ['--version'])
  const [, version = 'of unknown version'] = /version (\S+)/.exec(stdout) ?? []
  if (isAtLeast(version, ROTATES_SINCE)) return
  throw new DrayError(
    'USAGE',
    `--log-opt max-file=${log.maxFiles} needs conmon ${ROTATES_SINCE.join('.')}, and ${version} is installed, which keeps one file that begins anew when it is full: give that more with max-size=SIZE, or take --log-driver journald`,
  )
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ours = 0, below = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return ours > major || (ours === major && below >= minor)
}

/**
 * Has a monitor create a container, which then waits to be started. The monitor lives as long as the container, in a cgroup
 * of its own, whatever becomes of this process.
 *
 * @returns the number of the container's first process
 * @throws RUN_FAILED with what conmon or the runtime said
 */
export async function createMonitored(
  conmon: string,
  container: Monitored,
  settings: Omit<MonitorSettings, 'dir' | 'waits'>,
): Promise<number> {
  const { dir } = container.paths
  const monitor = startMonitor(conmon, monitorArguments(container), { ...settings, dir })
  const endWatch = watchForOrphans(conmon, container.id)
  try {
    monitor.goOn()
    return await monitor.pid()
  } finally {
    endWatch()
    monitor.release()
  }
}

/**
 * Ends the first process of a container whose runtime was killed meanwhile. It waits to be started by a runtime that knows
 * nothing of it, and conmon waits for the end of what the runtime might have to say, which it could say as well.
 */
function watchForOrphans(conmon: string, id: string): () => void {
  let orphanedSince = Infinity
  let isOver = false
  const look = async () => {
    // It says its number in a file, but not if its first process was killed before.
    const monitors = await findPrograms([basename(conmon)], id)
    if (isOver) return
    const children = monitors.flatMap(childrenOf).filter((pid) => !monitors.includes(pid))
    const isOrphaned = children.length > 0 && !children.some(isBesideUs)
    if (!isOrphaned) orphanedSince = Infinity
    else orphanedSince = Math.min(orphanedSince, performance.now())
    if (performance.now() - orphanedSince < ORPHANED_MS) return
    for (const pid of children) sendSignal(pid, 'SIGKILL')
  }
  const timer = setInterval(look, LOOK_EVERY_MS)
  return () => {
    isOver = true
    clearInterval(timer)
  }
}

function isBesideUs(pid: number): boolean {
  return namespaceOf(pid, 'pid') === namespaceOf(process.pid, 'pid')
}
