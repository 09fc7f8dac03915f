import { readFileSync } from 'node:fs'
import { mkdir, realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isatty } from 'node:tty'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { Process } from '#oci/runtime-spec.ts'
import { makeBundle } from './bundle.ts'
import { type Cgroups, readCgroups } from './cgroup.ts'
import { removeContainer } from './cleanup.ts'
import { checkCommand } from './command.ts'
import { readHostFacts } from './host-facts.ts'
import { containersDir, DEFAULT_STATE_DIR } from './layout.ts'
import { type ContainerOptions, checkOptions } from './options.ts'
import { type Claim, type ContainerRecord, claimNew, writeRecord } from './record.ts'
import { chooseRuntime, explainFailure, type OciRuntime, runArguments } from './runtime.ts'
import { exitCodeOfSignal, SignalCatcher } from './signals.ts'
import { type Stdio, superviseRuntime } from './supervise.ts'

/** Where a container runs and what it is connected to. */
export interface RunContext {
  /** The local store; containers live in `<root>/containers`. */
  readonly root: string
  /** Environment of the caller: for `-e KEY` and for the PATH that the OCI runtime is found on. */
  readonly hostEnv: Readonly<Record<string, string | undefined>>
  /** Name or path of an OCI runtime. Default: crun or runc, whichever can work here. */
  readonly runtime?: string | undefined
  /** Where OCI runtimes keep their state; default /run/dray. Not on a disk. */
  readonly stateDir?: string | undefined
  /** Ends the container: SIGTERM, and SIGKILL after `stopTimeoutMs`. */
  readonly signal?: AbortSignal | undefined
  /** Default 10 s. */
  readonly stopTimeoutMs?: number | undefined
  /** Default: this process's own; input only when the options say `interactive`. */
  readonly stdio?: Stdio | undefined
  /** Told when something of the container could not be removed. */
  readonly onWarning?: ((message: string) => void) | undefined
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
  checkOptions(options)
  const stdio = context.stdio ?? defaultStdio(options)
  checkTerminal(options, stdio)
  if (process.geteuid?.() !== 0) {
    throw new DrayError('RUN_FAILED', 'containers are mounted and isolated by root: run as root')
  }
  const cgroups = await readCgroups()
  const runtime = await chooseRuntime(context.runtime, context.hostEnv.PATH, cgroups)
  const signals = new SignalCatcher()
  try {
    const container = await openContainer(rootfs, runtime, cgroups, context)
    try {
      const exitCode = await runIn(container, { rootfs, options, context, stdio, signals })
      return { id: container.claim.id, exitCode }
    } finally {
      await close(container, context)
    }
  } finally {
    signals.release()
  }
}

/** A container's place on the host, from its directory to its removal. */
interface Container {
  readonly claim: Claim
  readonly record: ContainerRecord
  readonly runtime: OciRuntime
  readonly cgroups: Cgroups
}

interface Run {
  readonly rootfs: Rootfs
  readonly options: ContainerOptions
  readonly context: RunContext
  readonly stdio: Stdio
  readonly signals: SignalCatcher
}

async function openContainer(
  rootfs: Rootfs,
  runtime: OciRuntime,
  cgroups: Cgroups,
  context: RunContext,
): Promise<Container> {
  const runtimeRoot = join(resolve(context.stateDir ?? DEFAULT_STATE_DIR), runtime.name)
  await mkdir(runtimeRoot, { recursive: true, mode: 0o700 })
  await mkdir(containersDir(context.root), { recursive: true, mode: 0o700 })
  // The kernel tells mount points by their real paths.
  const claim = await claimNew(await realpath(containersDir(context.root)))
  const record: ContainerRecord = {
    version: 1,
    id: claim.id,
    createdAt: new Date().toISOString(),
    ownerPid: process.pid,
    manifestDigest: rootfs.manifestDigest,
    runtime: runtime.path,
    runtimeRoot,
  }
  return { claim, record, runtime, cgroups }
}

async function runIn(container: Container, run: Run): Promise<number> {
  const { claim, record, runtime, cgroups } = container
  const { options, context, signals } = run
  await writeRecord(claim.paths, record)
  const host = { ...(await readHostFacts(cgroups)), hostEnv: context.hostEnv }
  const spec = await makeBundle(claim, run.rootfs, options, host)
  // A volume may hold the command; then only the runtime can tell.
  if ((options.volumes ?? []).length === 0) await checkCommand(claim.paths.merged, spec.process)
  if (signals.ending !== undefined) return exitCodeOfSignal(signals.ending)
  context.signal?.throwIfAborted()
  const { log, pid: pidFile } = claim.paths
  const exitCode = await superviseRuntime(
    {
      runtime,
      args: runArguments(record.runtimeRoot, claim.id, claim.paths),
      pidFile,
      stdio: run.stdio,
      tty: spec.process.terminal,
      searchPath: context.hostEnv.PATH,
    },
    { signals, abort: context.signal, stopTimeoutMs: context.stopTimeoutMs ?? STOP_TIMEOUT_MS },
  )
  if (exitCode !== 0) throwIfNotStarted(runtime, log, spec.process)
  return exitCode
}

/** An exit code other than 0 is the runtime's own when its log says why the container didn't start. */
function throwIfNotStarted(runtime: OciRuntime, log: string, process: Process): void {
  const failure = explainFailure(runtime, readIfThere(log))
  if (failure === undefined) return
  const command = JSON.stringify(process.args[0])
  const known = failure.code !== 'RUN_FAILED'
  throw known ? new DrayError(failure.code, `cannot run ${command}: ${failure.message}`) : failure
}

/** What is left doesn't hide how the container ended: the next command removes it. */
async function close(container: Container, context: RunContext): Promise<void> {
  try {
    await removeContainer(container.claim, container.record, container.cgroups)
  } catch (error) {
    context.onWarning?.(errorMessage(error))
  }
}

function defaultStdio(options: ContainerOptions): Stdio {
  return [options.interactive ? 'inherit' : 'ignore', 'inherit', 'inherit']
}

function checkTerminal(options: ContainerOptions, stdio: Stdio): void {
  if (!options.tty) return
  const [input, output] = stdio.map(
    (end, fd) => end === 'ignore' || isatty(end === 'inherit' ? fd : end),
  )
  if (input && output) return
  const which = output ? 'input' : 'output'
  throw new DrayError('USAGE', `a terminal was asked for (-t), but standard ${which} is not one`)
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
