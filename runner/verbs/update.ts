import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DrayError } from '#oci/error.ts'
import {
  limitsSwap,
  readCgroups,
  runtimeEnvironment,
  weighDevices,
  whyNoLimits,
} from '../cgroup.ts'
import { cgroupOf } from '../cgroup-path.ts'
import { changeContainer } from '../containers/change.ts'
import { type Container, isRunning, readState } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import { recordEvent } from '../events/record.ts'
import { endWatch } from '../health/health.ts'
import { checkCpus, checkMemory, type ContainerOptions } from '../options.ts'
import { type ContainerRecord, writeRecord } from '../record.ts'
import { runtimeMessage } from '../runtime.ts'
import { blockIoOf } from '../spec/block-io.ts'
import { buildResources, limitsHeld } from '../spec/limits.ts'

const run = promisify(execFile)

/** What can be changed of a container that exists. */
export type UpdateOptions = Pick<
  ContainerOptions,
  | 'memory'
  | 'memorySwap'
  | 'memoryReservation'
  | 'cpus'
  | 'cpuPeriod'
  | 'cpuQuota'
  | 'cpuShares'
  | 'cpusetCpus'
  | 'cpusetMems'
  | 'pidsLimit'
  | 'blkioWeight'
  | 'restart'
  | 'health'
>

/** Changes the limits, the restart policy and the health check of a container, at once when it runs. @throws RUN_FAILED when the kernel refuses */
export async function updateContainer(
  container: Container,
  changes: UpdateOptions,
  context: RunnerContext,
): Promise<void> {
  const { root } = context
  await changeContainer(root, container, async (claim, record) => {
    const wanted = Object.entries(changes).filter(([, value]) => value !== undefined)
    const health = changes.health && { ...record.options.health, ...changes.health }
    const options: ContainerOptions = {
      ...record.options,
      ...Object.fromEntries(wanted),
      ...(health && { health }),
    }
    checkMemory(options)
    checkCpus(options)
    const changesLimits = wanted.some(([name]) => name !== 'restart' && name !== 'health')
    const runs = isRunning(readState({ ...container, record }))
    if (changesLimits && runs) await apply(record, options, changes)
    const next = { ...record, options }
    await writeRecord(claim.paths, next)
    if (health !== undefined && runs && next.phase.name === 'started') {
      const { watchHealth } = await import('./start.ts')
      endWatch(claim.paths)
      watchHealth(claim, next, next.phase.startedAt, { cgroups: await readCgroups(), context })
    }
    recordEvent(root, record, 'update')
  })
}

async function apply(
  { runtime, runtimeRoot, id }: ContainerRecord,
  options: ContainerOptions,
  changes: UpdateOptions,
): Promise<void> {
  const cgroups = await readCgroups()
  const why = whyNoLimits(changes, cgroups)
  if (why !== undefined) throw new DrayError('RUN_FAILED', `cannot change the limits: ${why}`)
  const held = limitsHeld(options, cgroups.controllers)
  const { memory, cpu, pids } = buildResources(held, limitsSwap(cgroups), [])
  const flags: readonly (readonly [string, number | string | undefined])[] = [
    ['--memory', memory?.limit],
    ['--memory-swap', memory?.swap],
    ['--memory-reservation', memory?.reservation],
    ['--cpu-quota', cpu?.quota],
    ['--cpu-period', cpu?.period],
    ['--cpu-share', cpu?.shares],
    ['--cpuset-cpus', cpu?.cpus],
    ['--cpuset-mems', cpu?.mems],
    ['--pids-limit', pids?.limit],
    ['--blkio-weight', held.blkioWeight],
  ]
  const blockIo = changes.blkioWeight === undefined ? undefined : blockIoOf(held)
  const args = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]))
  const env = runtimeEnvironment()
  await run(runtime, ['--root', runtimeRoot, 'update', ...args, id], { env }).catch(
    (error: unknown) => {
      throw new DrayError('RUN_FAILED', `cannot change the limits: ${runtimeMessage(error)}`, {
        cause: error,
      })
    },
  )
  if (blockIo !== undefined) weighDevices(cgroupOf(id, options), blockIo)
}
