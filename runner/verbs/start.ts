import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import { makeBundle } from '../bundle.ts'
import { busEnvironment, type Cgroups, readCgroups } from '../cgroup.ts'
import { endRuntime, takeDown } from '../cleanup.ts'
import { checkCommand, mayBringCommand } from '../command.ts'
import { changeContainer } from '../containers/change.ts'
import { launchFacts } from '../containers/facts.ts'
import { removeMonitorFiles } from '../containers/settle.ts'
import { type Container, isRunning, readNumber, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { recordEvent } from '../events/record.ts'
import { checkOfRecord } from '../health/check.ts'
import { newHealth, pauseBeforeCheck } from '../health/health.ts'
import { startWatch } from '../health/watch.ts'
import { createMonitored, DEFAULT_LOG, findMonitor } from '../monitor/conmon.ts'
import { readBootId, startTicks } from '../processes.ts'
import { type Claim, type ContainerRecord, type Run, writeRecord } from '../record.ts'
import {
  explainStart,
  globalArguments,
  type OciRuntime,
  runtimeAt,
  startArguments,
} from '../runtime.ts'
import { requireRoot } from '../containers/create.ts'

const run = promisify(execFile)

export interface StartOptions {
  /** Called when everything is ready and the command has not begun yet. */
  readonly whenCreated?: ((container: Container) => Promise<void>) | undefined
  /** How often the container was restarted by its policy; default 0. */
  readonly restarts?: number | undefined
  /** Asked while nobody else can change the container; false leaves it as it is. */
  readonly onlyIf?: ((record: ContainerRecord) => boolean) | undefined
}

/**
 * Starts a container in the background, with a monitor. One that runs already is left alone.
 *
 * @returns whether it was started
 * @throws what `runContainer` throws; the container then stays as it was, and tells why
 */
export async function startContainer(
  container: Container,
  context: RunnerContext,
  options: StartOptions = {},
): Promise<boolean> {
  requireRoot()
  return await changeContainer(context.root, container, async (claim, record) => {
    if (options.onlyIf?.(record) === false) return false
    if (isRunning(readState({ ...container, record }))) {
      await forgetStop(claim, record)
      return false
    }
    const startedAt = new Date().toISOString()
    const cgroups = await readCgroups()
    const bootId = readBootId()
    const before = record.phase.name === 'ended' ? wanted(record.phase) : undefined
    const phase = { name: 'starting', bootId, startedAt, before } as const
    await writeRecord(claim.paths, { ...record, phase }, { lasts: false })
    try {
      await launch({ claim, record, cgroups, context, startedAt, bootId }, options)
      return true
    } catch (error) {
      await abandon(claim, record, cgroups, error)
      throw error
    }
  })
}

/** It runs on after a stop that was cut off: as one that somebody started. */
async function forgetStop(claim: Claim, record: ContainerRecord): Promise<void> {
  const { phase } = record
  if (phase.name !== 'started' || !(phase.stopRequested || phase.isHalted)) return
  await writeRecord(claim.paths, { ...record, phase: wanted(phase) })
}

/** A run that its container's policy is to care for again, since somebody wants it to run. */
function wanted<T extends Run>(run: T): T {
  return { ...run, stopRequested: undefined, isHalted: undefined }
}

interface Launch {
  readonly claim: Claim
  readonly record: ContainerRecord
  readonly cgroups: Cgroups
  readonly context: RunnerContext
  readonly startedAt: string
  readonly bootId: string
}

async function launch(launch: Launch, options: StartOptions): Promise<void> {
  const { claim, record, cgroups, context } = launch
  const { paths, id } = claim
  const conmon = findMonitor(context.hostEnv.PATH)
  removeMonitorFiles(claim)
  const facts = await launchFacts(claim, record, context, cgroups)
  const spec = await makeBundle(claim, record.rootfs, record.options, facts)
  if (!mayBringCommand(record.options)) await checkCommand(paths.merged, spec.process)
  const runtime = runtimeAt(record.runtime)
  const monitored = {
    id,
    name: record.name,
    paths,
    runtime,
    runtimeArguments: globalArguments(runtime, record, paths, facts.hasCgroup),
    tty: spec.process.terminal,
    interactive: record.options.interactive ?? false,
    timeout: record.options.timeout,
    log: record.options.log ?? DEFAULT_LOG,
    whenEnded: context.whenEnded === undefined ? [] : [...context.whenEnded, id],
  }
  const env = monitorEnvironment(context.hostEnv)
  const pid = await explained(runtime, paths.log, spec.process, () =>
    createMonitored(conmon, monitored, {
      env,
      cgroups,
      keeps: facts.reservation?.descriptors ?? [],
    }),
  )
  facts.reservation?.release()
  await options.whenCreated?.({ id, paths, record })
  const phase: { name: 'started' } & Run = {
    name: 'started',
    startedAt: launch.startedAt,
    pid,
    ticks: startTicks(pid) ?? '',
    bootId: launch.bootId,
    monitorPid: readNumber(paths.monitorPid) ?? 0,
    restarts: options.restarts ?? 0,
  }
  await explained(runtime, paths.log, spec.process, () =>
    run(record.runtime, startArguments(record.runtimeRoot, id), { env }),
  )
  watchHealth(claim, record, launch.startedAt, launch)
  await writeRecord(paths, { ...record, phase })
  recordEvent(context.root, record, 'start')
}

/** Starts what checks the health of a container that runs, if anything is to. */
export function watchHealth(
  { paths }: Claim,
  record: ContainerRecord,
  startedAt: string,
  { cgroups, context }: Pick<Launch, 'cgroups' | 'context'>,
): void {
  const check = checkOfRecord(record)
  if (check === undefined || context.checkHealth === undefined) return
  const command = [...context.checkHealth, record.id]
  const firstPauseMs = pauseBeforeCheck(newHealth(startedAt), check, Date.now())
  const env = monitorEnvironment(context.hostEnv)
  startWatch(paths, { command, firstPauseMs, env, cgroups })
}

/** Of the environment of whoever starts it, the monitor and the health checks hand on what the program needs that it runs at the end. */
function monitorEnvironment(hostEnv: RunnerContext['hostEnv']): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'NODE_COMPILE_CACHE']
  return { ...Object.fromEntries(names.map((name) => [name, hostEnv[name]])), ...busEnvironment() }
}

/** What the runtime's log says of a failure is better than what its caller can say. */
async function explained<T>(
  runtime: OciRuntime,
  log: string,
  process: { readonly args: readonly string[] },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw explainStart(runtime, log, process) ?? failed(runtime, error)
  }
}

function failed(runtime: OciRuntime, error: unknown): DrayError {
  if (isDrayError(error)) return error
  const message = `${runtime.name} could not start the container: ${errorMessage(error)}`
  return new DrayError('RUN_FAILED', message, { cause: error })
}

async function abandon(
  claim: Claim,
  record: ContainerRecord,
  cgroups: Cgroups,
  reason: unknown,
): Promise<void> {
  await endRuntime(record)
  await takeDown(claim, record, cgroups)
  const { phase } = record
  const error = errorMessage(reason)
  const back = phase.name === 'ended' ? phase : ({ name: 'created', error } as const)
  await writeRecord(claim.paths, { ...record, phase: back }, { lasts: false })
  removeMonitorFiles(claim)
}
