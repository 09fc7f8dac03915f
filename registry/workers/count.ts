import { availableParallelism, totalmem } from 'node:os'

/** What a worker takes when it is busy, with room to spare. */
const MEMORY_OF_WORKER = 512 * 1024 * 1024

/** So many fill 10 Gbit/s; who has more to fill says so. */
const MOST_WORKERS = 4

/**
 * How many workers suit this machine, or the limits of its container: one for each core, no more than four, and none
 * without 512 MiB of memory for it. Never less than one.
 */
export function suitableWorkers(): number {
  // The limit of the control group, which may lie far above what there is.
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const affordable = Math.floor(memory / MEMORY_OF_WORKER)
  return Math.max(1, Math.min(availableParallelism(), MOST_WORKERS, affordable))
}
