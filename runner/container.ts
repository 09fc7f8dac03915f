import { isatty } from 'node:tty'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import { makeBundle } from './bundle.ts'
import { removeContainer } from './cleanup.ts'
import { checkCommand, mayBringCommand } from './command.ts'
import { type NewContainer, newContainer } from './containers/create.ts'
import { launchFacts } from './containers/facts.ts'
import type { RunnerContext } from './context.ts'
import { recordEvent } from './events/record.ts'
import type { ContainerOptions } from './options.ts'
import { explainStart, globalArguments, runArguments } from './runtime.ts'
import { exitCodeOfSignal, SignalCatcher } from './signals.ts'
import { type Stdio, superviseRuntime } from './supervise.ts'

/** Where a container runs and what it is connected to. */
export interface RunContext extends RunnerContext {
  /** Ends the container: SIGTERM, and SIGKILL after `stopTimeoutMs`. */
  readonly signal?: AbortSignal | undefined
  /** Default 10 s. */
  readonly stopTimeoutMs?: number | undefined
  /** Default: this process's own; input only when the options say `interactive`. */
  readonly stdio?: Stdio | undefined
  /** Told the container's id before it starts. */
  readonly onCreated?: ((id: string) => Promise<void>) | undefined
}

/** How a container ended. */
export interface ContainerExit {
  /** 64 hex digits. */
  readonly id: string
  /** The command's own, or 128 and the number of the signal that ended it. */
  readonly exitCode: number
}

const STOP_TIMEOUT_MS = 10_000

/**
 * Runs a container in the foreground and removes all of it afterwards: mounts, cgroups, directories. While it runs,
 * SIGINT, SIGTERM and their like go to the container's first process instead of this one; one that would be lost there,
 * because the process doesn't handle it, kills the container. The lower directories are never written.
 *
 * If this process is killed, the container goes on until {@link cleanUpContainers}.
 *
 * @throws USAGE, RUNTIME_UNAVAILABLE, MOUNT_FAILED, USER_UNKNOWN, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, RUN_FAILED,
 *   SYSCALL_FAILED, IMAGE_CONFIG_INVALID; `exitCodeOf` gives the exit code for each
 */
export async function runContainer(
  rootfs: Rootfs,
  options: ContainerOptions,
  context: RunContext,
): Promise<ContainerExit> {
  const stdio = context.stdio ?? defaultStdio(options)
  checkTerminal(options, stdio)
  const signals = new SignalCatcher()
  try {
    const container = await newContainer(rootfs, { ...options, autoRemove: true }, context, {
      keeper: 'owner',
    })
    try {
      await context.onCreated?.(container.claim.id)
      const exitCode = await runIn(container, { context, stdio, signals })
      return { id: container.claim.id, exitCode }
    } finally {
      await close(container, context)
    }
  } finally {
    signals.release()
  }
}

interface Run {
  readonly context: RunContext
  readonly stdio: Stdio
  readonly signals: SignalCatcher
}

async function runIn(container: NewContainer, run: Run): Promise<number> {
  const { claim, record, runtime, cgroups } = container
  const { context, signals } = run
  const { options } = record
  const facts = await launchFacts(claim, record, context, cgroups)
  const spec = await makeBundle(claim, record.rootfs, options, facts)
  if (!mayBringCommand(options)) await checkCommand(claim.paths.merged, spec.process)
  if (signals.ending !== undefined) return exitCodeOfSignal(signals.ending)
  context.signal?.throwIfAborted()
  const { log, pid: pidFile } = claim.paths
  const globals = globalArguments(runtime, record, claim.paths, facts.hasCgroup)
  recordEvent(context.root, record, 'start')
  const exitCode = await superviseRuntime(
    {
      runtime,
      args: runArguments(globals, claim.id, claim.paths),
      pidFile,
      stdio: run.stdio,
      tty: spec.process.terminal,
      searchPath: context.hostEnv.PATH,
    },
    { signals, abort: context.signal, stopTimeoutMs: context.stopTimeoutMs ?? STOP_TIMEOUT_MS },
  )
  recordEvent(context.root, record, 'die', { exitCode: String(exitCode) })
  // Another exit code than 0 is the runtime's own when its log says why the container didn't start.
  const isSaid = run.stdio[2] === 'inherit'
  const failure = exitCode === 0 ? undefined : explainStart(runtime, log, spec.process, isSaid)
  if (failure !== undefined) throw failure
  return exitCode
}

/** What is left doesn't hide how the container ended: the next command removes it. */
async function close(container: NewContainer, context: RunContext): Promise<void> {
  const { claim, record, cgroups } = container
  try {
    await removeContainer(context.root, claim, record, cgroups)
  } catch (error) {
    context.onWarning?.(errorMessage(error))
  } finally {
    claim.release()
  }
}

function defaultStdio(options: ContainerOptions): Stdio {
  return [options.interactive ? 'inherit' : 'ignore', 'inherit', 'inherit']
}

function checkTerminal(options: ContainerOptions, stdio: Stdio): void {
  if (!options.tty) return
  const [input, output] = stdio.map(
    (end, fd) => end === 'ignore' || (end !== 'pipe' && isatty(end === 'inherit' ? fd : end)),
  )
  if (input && output) return
  const which = output ? 'input' : 'output'
  throw new DrayError('USAGE', `a terminal was asked for (-t), but standard ${which} is not one`)
}
