import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isErrno } from '#oci/error.ts'
import { exclusively } from '../file-lock.ts'
import type { ContainerPaths } from '../layout.ts'
import { isSameProcess } from '../processes.ts'
import type { ContainerRecord, Run } from '../record.ts'
import { writeStateFile } from '../state-file.ts'
import { checkOfRecord, type HealthCheck } from './check.ts'

/** What was found out about the health of a container in one of its runs. */
export interface Health {
  /** When the run was started, which tells it from others. */
  readonly startedAt: string
  /** `unknown`: the container runs, and what is to check it doesn't. */
  readonly status: 'starting' | 'healthy' | 'unhealthy' | 'unknown'
  /** How many checks failed since the last one that didn't, and count. */
  readonly failingStreak: number
  /** The latest checks, the oldest first. */
  readonly log: readonly HealthResult[]
}

/** What came of one check. */
export interface HealthResult {
  readonly start: string
  readonly end: string
  /** 0 when it is well; -1 when the check took too long. */
  readonly exitCode: number
  /** The first that it said. */
  readonly output: string
}

/** docker's, too. */
const LOG_LIMIT = 5

/** Of a container that has just been started. */
export function newHealth(startedAt: string): Health {
  return { startedAt, status: 'starting', failingStreak: 0, log: [] }
}

/** The health after one more check. Pure. */
export function nextHealth(before: Health, result: HealthResult, check: HealthCheck): Health {
  const log = [...before.log, result].slice(-LOG_LIMIT)
  if (result.exitCode === 0) return { ...before, status: 'healthy', failingStreak: 0, log }
  const age = Date.parse(result.start) - Date.parse(before.startedAt)
  if (before.status === 'starting' && age < check.startPeriodMs) return { ...before, log }
  const failingStreak = before.failingStreak + 1
  const status = failingStreak >= check.retries ? 'unhealthy' : before.status
  return { ...before, status, failingStreak, log }
}

/** How long to wait before the next check. Pure. */
export function pauseBeforeCheck(health: Health, check: HealthCheck, now: number): number {
  const age = now - Date.parse(health.startedAt)
  const isStarting = health.status === 'starting' && age < check.startPeriodMs
  return isStarting ? check.startIntervalMs : check.intervalMs
}

/** The health of a container in its latest run; undefined when it has no health check. */
export function currentHealth(
  record: ContainerRecord,
  paths: ContainerPaths,
  run: Run,
  { isRunning }: { readonly isRunning: boolean },
): Health | undefined {
  if (checkOfRecord(record) === undefined) return undefined
  const health = readHealth(paths, run.startedAt)
  return isRunning && !isWatched(paths) ? { ...health, status: 'unknown' } : health
}

/** Notes what came of a check, unless it was one of an earlier run. @returns the health before and after it */
export function noteResult(
  paths: ContainerPaths,
  run: Run,
  result: HealthResult,
  check: HealthCheck,
): { readonly before: Health; readonly after: Health } {
  return exclusively(`${paths.health}.lock`, () => {
    const before = readHealth(paths, run.startedAt)
    const after = nextHealth(before, result, check)
    writeStateFile(paths.health, JSON.stringify(after))
    return { before, after }
  })
}

function readHealth(paths: ContainerPaths, startedAt: string): Health {
  const health = parseIfThere<Health>(paths.health)
  return health?.startedAt === startedAt ? health : newHealth(startedAt)
}

/** The process that checks again and again: the leader of a group of its own. */
export interface Watch {
  readonly pid: number
  readonly ticks: string
}

export function writeWatch(paths: ContainerPaths, watch: Watch): void {
  writeFileSync(paths.healthWatch, JSON.stringify(watch), { mode: 0o600 })
}

/** Ends the checks of a container, and one that is under way. */
export function endWatch(paths: ContainerPaths): void {
  const watch = parseIfThere<Watch>(paths.healthWatch)
  if (watch === undefined) return
  if (isSameProcess(watch.pid, watch.ticks)) killGroup(watch.pid)
  rmSync(paths.healthWatch, { force: true })
}

function isWatched(paths: ContainerPaths): boolean {
  const watch = parseIfThere<Watch>(paths.healthWatch)
  return watch !== undefined && isSameProcess(watch.pid, watch.ticks)
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/** A power cut may leave an empty file. */
function parseIfThere<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
