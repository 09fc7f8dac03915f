import { accessSync, constants } from 'node:fs'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DrayError, errorMessage } from '#oci/error.ts'
import { isInUserNamespace } from '#oci/user-namespace.ts'
import type { Cgroups } from './cgroup.ts'
import { usesSystemd } from './cgroup-path.ts'
import type { ContainerPaths } from './layout.ts'
import { isStillProgram, monotonicMs } from './processes.ts'
import type { ContainerRecord } from './record.ts'
import { readText } from './read-text.ts'

/** A program with the command line of an OCI runtime: `run`, `state`, `kill`, `delete`. */
export interface OciRuntime {
  /** Its file's name, such as `runc`. */
  readonly name: string
  readonly path: string
}

/** In order of preference: crun starts containers faster. */
export const KNOWN_RUNTIMES = ['crun', 'runc'] as const

// An ordinary user's PATH often lacks these.
const SYSTEM_DIRS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Why a runtime can't work on a host; undefined when nothing speaks against it. */
export function obstacleOf(runtime: OciRuntime, cgroups: Cgroups): string | undefined {
  if (cgroups.mode === 'none') return 'no cgroups are mounted at /sys/fs/cgroup'
  if (runtime.name === 'crun' && cgroups.mode === 'hybrid' && cgroups.strayControllers.length > 0) {
    const stray = cgroups.strayControllers.join(', ')
    return `crun refuses hybrid cgroups as long as v2 has controllers (here: ${stray})`
  }
  return undefined
}

/**
 * The OCI runtime to use: the one asked for, by name or path, or else the first known one that can work here.
 *
 * @param searchPath value of PATH
 * @throws RUNTIME_UNAVAILABLE
 */
export function chooseRuntime(
  wanted: string | undefined,
  searchPath: string | undefined,
  cgroups: Cgroups,
): OciRuntime {
  const reasons: string[] = []
  for (const name of wanted === undefined ? KNOWN_RUNTIMES : [wanted]) {
    const runtime = findRuntime(name, searchPath)
    const reason = runtime ? obstacleOf(runtime, cgroups) : `${name} is not installed`
    if (runtime !== undefined && reason === undefined) return runtime
    reasons.push(reason ?? name)
  }
  const advice =
    wanted === undefined ? 'apt-get install runc' : 'install it, or leave --runtime out'
  throw new DrayError(
    'RUNTIME_UNAVAILABLE',
    `no OCI runtime: ${reasons.join('; ')}. Try: ${advice}`,
  )
}

/** A program by its path, as a record has it. */
export function runtimeAt(path: string): OciRuntime {
  return { name: basename(path), path }
}

/** Finds a program by name on the PATH and in the system's directories, or by path. */
export function findRuntime(
  nameOrPath: string,
  searchPath: string | undefined,
): OciRuntime | undefined {
  const dirs = [...(searchPath ?? '').split(':').filter(isAbsolute), ...SYSTEM_DIRS]
  const candidates = nameOrPath.includes('/')
    ? [resolve(nameOrPath)]
    : dirs.map((dir) => join(dir, nameOrPath))
  for (const path of candidates) {
    if (isExecutable(path)) return runtimeAt(path)
  }
  return undefined
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Arguments before the command, where a container is made. */
export function globalArguments(
  runtime: OciRuntime,
  { runtimeRoot, options }: Pick<ContainerRecord, 'runtimeRoot' | 'options'>,
  paths: ContainerPaths,
  hasCgroup = true,
): string[] {
  const bySystemd = hasCgroup && usesSystemd(options)
  return [
    ...['--root', runtimeRoot, '--log', paths.log, '--log-format', 'json'],
    ...(bySystemd ? ['--systemd-cgroup'] : []),
    // Of root in a user namespace, runc believes only by this that it isn't root.
    ...(bySystemd && runtime.name === 'runc' && isInUserNamespace() ? ['--rootless', 'true'] : []),
  ]
}

/** Arguments of `run`: starts a container and stays until it ends, with the exit code of its command. */
export function runArguments(
  globals: readonly string[],
  id: string,
  paths: ContainerPaths,
): string[] {
  return [...globals, 'run', '--bundle', paths.dir, '--pid-file', paths.pid, id]
}

/** Arguments of `delete`: kills a container if need be and forgets it. */
export function deleteArguments(runtimeRoot: string, id: string): string[] {
  return ['--root', runtimeRoot, 'delete', '--force', id]
}

/** Arguments of `start`: lets a created container's command begin. */
export function startArguments(runtimeRoot: string, id: string): string[] {
  return ['--root', runtimeRoot, 'start', id]
}

/** Arguments of `exec`: runs a process in a container that runs, and stays until it ends, unless it is detached. */
export function execArguments(
  runtimeRoot: string,
  id: string,
  files: { readonly process: string; readonly pid: string; readonly log: string },
  detach: boolean,
): string[] {
  const globals = ['--root', runtimeRoot, '--log', files.log, '--log-format', 'json']
  const options = ['--process', files.process, '--pid-file', files.pid]
  return [...globals, 'exec', ...(detach ? ['--detach'] : []), ...options, id]
}

/** Arguments of `pause`: freezes all processes. */
export function pauseArguments(runtimeRoot: string, id: string): string[] {
  return ['--root', runtimeRoot, 'pause', id]
}

/** Arguments of `resume`, after `pause`. */
export function resumeArguments(runtimeRoot: string, id: string): string[] {
  return ['--root', runtimeRoot, 'resume', id]
}

// How runc and crun say that the command itself could not be started; everything else is the container's set-up.
const NOT_FOUND =
  /executable file\b.* not found|exec: "[^"]*": .*no such file|exec container process.*: no such file/i
const NOT_EXECUTABLE = /exec: "[^"]*": |open executable: |exec container process|\bchdir to /i

/**
 * Reads a runtime's log for the reason why it could not start the container. Undefined when it gives none: then the
 * exit code is the command's own.
 *
 * @param isSaid whether whoever is to read it can see what the runtime says: runc says it there, too
 * @returns COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE or RUN_FAILED
 */
export function explainFailure(
  runtime: OciRuntime,
  log: string,
  isSaid = false,
): DrayError | undefined {
  const reason = log
    .split('\n')
    .map(errorLine)
    .findLast((line) => line !== undefined)
  if (reason === undefined) return undefined
  const why = isSaid && runtime.name === 'runc' ? 'the line above says why' : reason
  const options = { cause: reason }
  if (NOT_FOUND.test(reason)) return new DrayError('COMMAND_NOT_FOUND', why, options)
  if (NOT_EXECUTABLE.test(reason)) return new DrayError('COMMAND_NOT_EXECUTABLE', why, options)
  const message = `${runtime.name} could not run the container: ${why}`
  return new DrayError('RUN_FAILED', message, options)
}

/** What a runtime that was called without a log says of its failure, in a line. */
export function runtimeMessage(error: unknown): string {
  const said: unknown = typeof error === 'object' && error && Reflect.get(error, 'stderr')
  const line = typeof said === 'string' ? said.trim().split('\n').at(-1) : undefined
  if (!line) return errorMessage(error)
  const quoted = /\blevel=(?:error|fatal) msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1]
  return quoted?.replace(/\\(.)/g, '$1') ?? line
}

/**
 * Why a container was not started, from the runtime's log; undefined when it was.
 *
 * @returns COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE or RUN_FAILED
 */
export function explainStart(
  runtime: OciRuntime,
  logPath: string,
  process: { readonly args: readonly string[] },
  isSaid = false,
): DrayError | undefined {
  const failure = explainFailure(runtime, readText(logPath), isSaid)
  if (failure === undefined || failure.code === 'RUN_FAILED') return failure
  const command = JSON.stringify(process.args[0])
  const message = `cannot run ${command}: ${failure.message}`
  return new DrayError(failure.code, message, { cause: failure.cause })
}

function errorLine(line: string): string | undefined {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown }
    return (level === 'error' || level === 'fatal') && typeof msg === 'string' ? msg : undefined
  } catch {
    return undefined
  }
}

const PROGRAM_POLL_MS = 2
/** A container's own program may be called like a runtime: it gets its signals late then. */
const PROGRAM_WITHIN_MS = 5000

/**
 * Waits until a container's first process is no longer the runtime at `path`. What that takes of signals before it becomes
 * the container's program is lost: handlers end with exec(2).
 */
export async function untilProgramRuns(pid: number, path: string): Promise<void> {
  // What is installed may be a wrapper of one that is known.
  const names = [...KNOWN_RUNTIMES, basename(path)]
  const deadline = monotonicMs() + PROGRAM_WITHIN_MS
  while (isStillProgram(pid, names) && monotonicMs() < deadline) await delay(PROGRAM_POLL_MS)
}
