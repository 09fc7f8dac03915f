import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '#oci/error.ts'
import { isFrozen } from '../cgroup.ts'
import { currentHealth, type Health } from '../health/health.ts'
import { cgroupOf } from '../cgroup-path.ts'
import type { ContainerPaths } from '../layout.ts'
import { hasWord, isSameProcess, readBootId } from '../processes.ts'
import { type ContainerRecord, readRecord, type Run, type RunEnd } from '../record.ts'

/** What a container is doing, from its record and from what the kernel and the monitor say now. */
export interface ContainerState {
  readonly status: 'created' | 'starting' | 'running' | 'paused' | 'exited'
  /** Of the first process, while it runs. */
  readonly pid?: number | undefined
  readonly startedAt?: string | undefined
  readonly finishedAt?: string | undefined
  /** Of a container that ended; absent when nobody saw the end. */
  readonly exitCode?: number | undefined
  readonly oomKilled: boolean
  readonly restarts: number
  /** Why it could not be started. */
  readonly error?: string | undefined
  /** Of its latest run, when it has a health check. */
  readonly health?: Health | undefined
  /** Whether the end was noted, and nothing is mounted any more. */
  readonly isSettled: boolean
}

/** A container of the store: what is written down of it, and where. */
export interface Container {
  readonly id: string
  readonly paths: ContainerPaths
  readonly record: ContainerRecord
}

/** Reads what a container is doing. Changes nothing. */
export function readState(container: Container): ContainerState {
  const { record, paths } = container
  const { phase } = record
  switch (phase.name) {
    case 'created':
      return {
        status: 'created',
        error: phase.error,
        oomKilled: false,
        restarts: 0,
        isSettled: true,
      }
    case 'starting':
      return record.keeper === 'owner' ? ownedState(container, phase.startedAt) : STARTING
    case 'started': {
      const end = readEnd(record.id, paths, phase)
      return end === undefined
        ? running(container, phase)
        : { ...ended(container, phase, end), isSettled: false }
    }
    case 'ended':
      return { ...ended(container, phase, phase), isSettled: true }
  }
}

const STARTING: ContainerState = {
  status: 'starting',
  oomKilled: false,
  restarts: 0,
  isSettled: false,
}

/** Whether a container has a process that can be sent signals. */
export function isRunning(
  state: ContainerState,
): state is ContainerState & { readonly pid: number } {
  return state.status === 'running' || state.status === 'paused'
}

/** A container that runs as long as its owner: there is one as long as there is a directory. */
function ownedState({ record, paths }: Container, startedAt: string): ContainerState {
  const pid = readNumber(paths.pid)
  if (pid === undefined || !existsSync(`/proc/${pid}`)) return { ...STARTING, startedAt }
  const status = isFrozen(cgroupOf(record.id, record.options)) ? 'paused' : 'running'
  return { ...STARTING, status, pid, startedAt }
}

function running({ record, paths }: Container, run: Run): ContainerState {
  return {
    status: isFrozen(cgroupOf(record.id, record.options)) ? 'paused' : 'running',
    pid: run.pid,
    startedAt: run.startedAt,
    oomKilled: false,
    restarts: run.restarts,
    health: currentHealth(record, paths, run, { isRunning: true }),
    isSettled: false,
  }
}

function ended(
  { record, paths }: Container,
  run: Run,
  end: RunEnd,
): Omit<ContainerState, 'isSettled'> {
  return {
    status: 'exited',
    startedAt: run.startedAt,
    finishedAt: end.finishedAt,
    exitCode: end.exitCode,
    oomKilled: end.oomKilled,
    restarts: run.restarts,
    health: currentHealth(record, paths, run, { isRunning: false }),
  }
}

/**
 * How a run ended; undefined as long as it lasts, the monitor's last words included. An end that the monitor didn't live to
 * see, or that a reboot was, has no exit code.
 */
export function readEnd(id: string, paths: ContainerPaths, run: Run): RunEnd | undefined {
  const seen = readExit(paths)
  if (seen !== undefined) return seen
  if (run.bootId === readBootId()) {
    if (isSameProcess(run.pid, run.ticks)) return undefined
    if (hasWord(run.monitorPid, id)) return undefined
  }
  // It may have written the code and ended between the two looks, and somebody may have noted that and removed it.
  return (
    readExit(paths) ??
    notedEnd(paths, run) ?? {
      finishedAt: new Date().toISOString(),
      oomKilled: existsSync(paths.oom),
    }
  )
}

/** How a run ended, when the record says so by now. */
function notedEnd(paths: ContainerPaths, { startedAt }: Run): RunEnd | undefined {
  const phase = readRecord(paths)?.phase
  return phase?.name === 'ended' && phase.startedAt === startedAt ? phase : undefined
}

/** The code that the monitor wrote. It writes -1 for one that it doesn't know either. */
function readExit(paths: ContainerPaths): RunEnd | undefined {
  try {
    const code = Number(readFileSync(paths.exit, 'latin1'))
    return {
      exitCode: Number.isInteger(code) && code >= 0 && code < 256 ? code : undefined,
      finishedAt: statSync(paths.exit).mtime.toISOString(),
      oomKilled: existsSync(paths.oom),
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** The number that a file holds; undefined when there is none. */
export function readNumber(path: string): number | undefined {
  try {
    const number = Number(readFileSync(path, 'latin1'))
    return Number.isInteger(number) && number > 0 ? number : undefined
  } catch {
    return undefined
  }
}

/** Where overlay is mounted when a container's root file system is. */
export function isMounted(paths: ContainerPaths): boolean {
  const merged = statSync(paths.merged, { throwIfNoEntry: false })
  const dir = statSync(join(paths.merged, '..'), { throwIfNoEntry: false })
  return merged !== undefined && dir !== undefined && merged.dev !== dir.dev
}
