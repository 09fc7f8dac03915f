import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { execIds, execPaths } from '../layout.ts'
import { endRuntime, removeContainer, takeDown } from '../cleanup.ts'
import { readCgroups } from '../cgroup.ts'
import { recordEvent } from '../events/record.ts'
import { wasKilledForMemory } from '../kernel-log.ts'
import {
  type Claim,
  claimExisting,
  type ContainerRecord,
  type Phase,
  type Run,
  type RunEnd,
  readRecord,
  writeRecord,
} from '../record.ts'
import { readBootId } from '../processes.ts'
import { exitCodeOfSignal } from '../signals.ts'
import { type Container, readEnd } from './state.ts'
import { realContainersDir } from './find.ts'

/** What the monitor leaves in a container's directory. */
const MONITOR_FILES = ['exit', 'oom', 'pid', 'monitor.pid', 'attach', 'ctl', 'winsz'] as const

/**
 * Brings a container whose run is over to rest: takes down what the run had on the host and writes down how it ended, or
 * removes the container, if it was to be. One that runs, or rests already, is left as it is.
 *
 * @returns the record as it is now; undefined when the container is gone
 * @throws RUN_FAILED when something can't be taken down; the next call tries again
 */
export async function settle(
  root: string,
  claim: Claim,
  record: ContainerRecord,
): Promise<ContainerRecord | undefined> {
  if (record.keeper === 'owner') {
    await endRuntime(record)
    await removeContainer(root, claim, record, await readCgroups())
    return undefined
  }
  const { phase } = record
  if (phase.name === 'starting') return await abandonStart(claim, record, phase.before)
  if (phase.name !== 'started') return record
  const seen = readEnd(record.id, claim.paths, phase)
  if (seen === undefined) return record
  const end = { ...seen, oomKilled: seen.oomKilled || ranOutOfMemory(record, phase, seen) }
  const cgroups = await readCgroups()
  recordEnd(root, record, end)
  const settled = { ...record, phase: { ...phase, name: 'ended', ...end } } as const
  if (record.options.autoRemove) {
    await removeContainer(root, claim, settled, cgroups)
    return undefined
  }
  await takeDown(claim, record, cgroups)
  await writeRecord(claim.paths, settled, { lasts: false })
  removeMonitorFiles(claim)
  return settled
}

/** What the monitor misses where somebody else, systemd, removes the cgroup. */
function ranOutOfMemory(record: ContainerRecord, run: Run, { exitCode }: RunEnd): boolean {
  if (exitCode !== exitCodeOfSignal('SIGKILL') && record.options.memory === undefined) return false
  return run.bootId === readBootId() && wasKilledForMemory(record.id, run.startedAt)
}

function recordEnd(root: string, record: ContainerRecord, { exitCode, oomKilled }: RunEnd): void {
  if (oomKilled) recordEvent(root, record, 'oom')
  const attributes = { exitCode: exitCode === undefined ? 'unknown' : String(exitCode) }
  recordEvent(root, record, 'die', attributes)
}

/** Whoever started it was killed on the way. */
async function abandonStart(
  claim: Claim,
  record: ContainerRecord,
  before: Phase | undefined,
): Promise<ContainerRecord> {
  await endRuntime(record)
  await takeDown(claim, record, await readCgroups())
  const phase: Phase = before ?? { name: 'created', error: 'its start was cut off' }
  const settled: ContainerRecord = { ...record, phase }
  await writeRecord(claim.paths, settled, { lasts: false })
  removeMonitorFiles(claim)
  return settled
}

/** Removes what a monitor, and commands that were run beside, left, so that nothing of it is taken for the next run's. */
export function removeMonitorFiles({ paths }: Claim): void {
  const { dir } = paths
  for (const name of MONITOR_FILES) rmSync(join(dir, name), { force: true })
  for (const id of execIds(paths))
    rmSync(execPaths(paths, id).dir, { recursive: true, force: true })
}

/** {@link settle}, unless somebody else is at it. */
export async function settleIfFree(
  root: string,
  container: Container,
): Promise<Container | undefined> {
  const claim = claimExisting(realContainersDir(root) ?? '', container.id)
  if (claim === undefined) return container
  try {
    const record = readRecord(claim.paths)
    const settled = record === undefined ? undefined : await settle(root, claim, record)
    return settled === undefined ? undefined : { ...container, record: settled }
  } finally {
    claim.release()
  }
}
