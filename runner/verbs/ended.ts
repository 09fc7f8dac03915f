import { setTimeout as delay } from 'node:timers/promises'
import { isDrayError } from '#oci/error.ts'
import { changeContainer } from '../containers/change.ts'
import { openContainer, realContainersDir } from '../containers/find.ts'
import type { Container } from '../containers/state.ts'
import type { RunnerContext } from '../context.ts'
import type { ContainerRecord } from '../record.ts'
import { startContainer } from './start.ts'

// docker's: doubled with each restart, begun anew after a run of ten seconds.
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 60_000
const STEADY_AFTER_MS = 10_000

/**
 * What the monitor has done when a container has ended: takes down what is left, removes the container if it was to be, or
 * starts it again as its policy says.
 */
export async function containerEnded(id: string, context: RunnerContext): Promise<void> {
  const container = await openContainer(realContainersDir(context.root) ?? '', id)
  if (container === undefined) return
  const record = await settled(context.root, container)
  const restarts = record === undefined ? undefined : nextRestart(record)
  if (record === undefined || restarts === undefined) return
  await delay(restarts.pauseMs)
  await startContainer({ ...container, record }, context, {
    restarts: restarts.count,
    onlyIf: (now) => isSameEnd(now, record) && nextRestart(now) !== undefined,
  })
}

/** Changing it is what settles it. */
async function settled(root: string, container: Container): Promise<ContainerRecord | undefined> {
  try {
    return await changeContainer(root, container, async (_, record) => record)
  } catch (error) {
    if (isDrayError(error, 'CONTAINER_UNKNOWN')) return undefined
    throw error
  }
}

/** Whether and when a container that ended is started again. Pure. */
export function nextRestart(
  record: ContainerRecord,
): { readonly count: number; readonly pauseMs: number } | undefined {
  const { phase, options } = record
  const { name, maxRetries } = options.restart ?? { name: 'no', maxRetries: 0 }
  if (phase.name !== 'ended' || name === 'no') return undefined
  if (phase.stopRequested || phase.isHalted) return undefined
  const lasted = Date.parse(phase.finishedAt) - Date.parse(phase.startedAt)
  const before = lasted > STEADY_AFTER_MS ? 0 : phase.restarts
  const isSpent = maxRetries > 0 && phase.restarts >= maxRetries
  if (name === 'on-failure' && (phase.exitCode === 0 || isSpent)) return undefined
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(before, 16), LONGEST_PAUSE_MS)
  return { count: phase.restarts + 1, pauseMs }
}

function isSameEnd(now: ContainerRecord, then: ContainerRecord): boolean {
  if (now.phase.name !== 'ended' || then.phase.name !== 'ended') return false
  return now.phase.finishedAt === then.phase.finishedAt
}
