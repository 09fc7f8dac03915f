import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { DrayError } from '#oci/error.ts'
import type { Capabilities, Process, RuntimeSpec } from '#oci/runtime-spec.ts'
import { lookUpUser } from '../bundle.ts'
import { checkCommand, checkWorkdir, mayBringCommand } from '../command.ts'
import { type Container, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { recordEvent } from '../events/record.ts'
import { findVariable, mergeEnvironment, withValues } from '../environment.ts'
import { type ExecPaths, execPaths } from '../layout.ts'
import {
  execArguments,
  explainStart,
  findRuntime,
  type OciRuntime,
  runtimeAt,
  runtimeMessage,
} from '../runtime.ts'
import { readText } from '../read-text.ts'
import { SignalCatcher } from '../signals.ts'
import { checkAbsolute } from '../options.ts'
import { withPrimary } from '../spec.ts'
import { specText } from '../spec/limits.ts'
import { capabilitiesIn, capabilitiesOf } from '../spec/capabilities.ts'
import { type Stdio, superviseRuntime } from '../supervise.ts'
import type { AttachStreams } from './attach.ts'
import { requireRunning } from './kill.ts'

const run = promisify(execFile)

/** A command to run in a container; absent means as the container's own. */
export interface ExecOptions {
  readonly command: readonly string[]
  /** `KEY=VALUE`, or `KEY` for the value of the caller. */
  readonly env?: readonly string[] | undefined
  readonly workdir?: string | undefined
  /** `USER[:GROUP]`, names of the image or numbers. */
  readonly user?: string | undefined
  /** Whether it has all capabilities, and may gain rights by programs with the setuid bit. */
  readonly privileged?: boolean | undefined
  readonly tty?: boolean | undefined
  readonly interactive?: boolean | undefined
  /** In the background; its output goes nowhere. */
  readonly detach?: boolean | undefined
  /**
   * Connects the command and its terminal with these by way of a monitor, where one is installed: the keys to detach leave it
   * to itself.
   */
  readonly streams?: AttachStreams | undefined
  /** Default: this process's own; input only when `interactive`. */
  readonly stdio?: Stdio | undefined
  /** Told what the command says, in place of an output in `stdio`. */
  readonly onOutput?: ((piece: Buffer) => void) | undefined
  /** Kills the command. */
  readonly signal?: AbortSignal | undefined
  /** Whether no event tells of it. */
  readonly isUnnoted?: boolean | undefined
}

/**
 * Runs one more command in a container that runs.
 *
 * @returns its exit code; 0 at once when it is detached, or when the keys for that are typed
 * @throws USAGE, CONTAINER_STATE, USER_UNKNOWN, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, RUN_FAILED
 */
export async function execInContainer(
  container: Container,
  options: ExecOptions,
  context: RunnerContext,
): Promise<number> {
  checkAbsolute(options.workdir)
  requireRunning(container)
  if (readState(container).status === 'paused') {
    const { name } = container.record
    throw new DrayError(
      'CONTAINER_STATE',
      `container ${name} is paused: dray unpause ${name} first`,
    )
  }
  const id = randomBytes(32).toString('hex')
  const paths = execPaths(container.paths, id)
  mkdirSync(paths.dir, { mode: 0o700 })
  let goesOn = false
  try {
    const process = await execProcess(container, options, context)
    if (!mayBringCommand(container.record.options)) {
      checkWorkdir(container.paths.merged, process)
      await checkCommand(container.paths.merged, process)
    }
    await writeFile(paths.process, specText(process), { mode: 0o600 })
    const line = options.command.join(' ')
    if (!options.isUnnoted) recordEvent(context.root, container.record, `exec_start: ${line}`)
    const { streams } = options
    const conmon = streams && findRuntime('conmon', context.hostEnv.PATH)?.path
    if (streams === undefined || conmon === undefined)
      return await start(container, process, paths, options, context)
    const runtime = runtimeAt(container.record.runtime)
    const { execInForeground } = await import('./exec-foreground.ts')
    const exec = { id, paths, process, runtime, conmon, streams }
    const exitCode = await execInForeground(container, exec, context)
    goesOn = exitCode === undefined
    return exitCode ?? 0
  } finally {
    if (!goesOn) rmSync(paths.dir, { recursive: true, force: true })
  }
}

async function start(
  { record }: Container,
  process: Process,
  files: ExecPaths,
  options: ExecOptions,
  context: RunnerContext,
): Promise<number> {
  const runtime = runtimeAt(record.runtime)
  const args = execArguments(record.runtimeRoot, record.id, files, options.detach ?? false)
  if (options.detach) {
    await run(runtime.path, args, { timeout: 60_000 }).catch((error: unknown) => {
      throw explainStart(runtime, files.log, process) ?? failed(runtime, error)
    })
    return 0
  }
  const signals = new SignalCatcher()
  try {
    const output = options.onOutput === undefined ? 'inherit' : 'pipe'
    const input = options.interactive ? 'inherit' : 'ignore'
    const exitCode = await superviseRuntime(
      {
        runtime,
        args,
        pidFile: files.pid,
        stdio: options.stdio ?? [input, output, output],
        onOutput: options.onOutput,
        tty: process.terminal,
        searchPath: context.hostEnv.PATH,
      },
      { signals, abort: options.signal, stopTimeoutMs: 0 },
    )
    const isSaid = (options.stdio?.[2] ?? output) === 'inherit'
    const failure = exitCode === 0 ? undefined : explainStart(runtime, files.log, process, isSaid)
    if (failure !== undefined) throw failure
    return exitCode
  } finally {
    signals.release()
  }
}

/** The container's own process, changed as the options say: same capabilities, same limits. */
async function execProcess(
  { paths, record }: Container,
  options: ExecOptions,
  context: RunnerContext,
): Promise<Process> {
  const spec = JSON.parse(await readFile(paths.config, 'utf8')) as RuntimeSpec
  const own = spec.process
  const user = options.user === undefined ? undefined : lookUpUser(paths.merged, options.user)
  const { uid, gid, additionalGids } = user ?? own.user
  const home = user?.home ?? findVariable(own.env, 'HOME') ?? '/'
  const term = options.tty ? ['TERM=xterm'] : []
  return {
    ...own,
    args: options.command,
    cwd: options.workdir ?? own.cwd,
    env: mergeEnvironment(
      [...own.env, ...term, `HOME=${home}`],
      withValues(options.env ?? [], context.hostEnv),
    ),
    terminal: options.tty ?? false,
    user: { ...own.user, uid, gid, additionalGids: withPrimary(gid, additionalGids) },
    ...(options.privileged
      ? { capabilities: allCapabilities(uid), noNewPrivileges: false }
      : { capabilities: capabilitiesOf(uid, record.options, own.capabilities.bounding) }),
  }
}

function allCapabilities(uid: number): Capabilities {
  return capabilitiesOf(uid, { privileged: true }, capabilitiesIn(readText('/proc/self/status')))
}

function failed(runtime: OciRuntime, cause: unknown): DrayError {
  const message = `${runtime.name} could not run the command: ${runtimeMessage(cause)}`
  return new DrayError('RUN_FAILED', message, { cause })
}
