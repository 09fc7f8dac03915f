import { type Counts, sumCounts } from '../metrics/metrics.ts'
import type { WorkerProcess } from './worker-process.ts'

/** What all workers together have counted, those that have ended included: a sum that never goes back. */
export interface Tally {
  gather(living: ReadonlySet<WorkerProcess>): Promise<readonly Counts[]>
  /** Keeps what was last gathered of a worker that has ended. */
  retire(worker: WorkerProcess): void
}

export function createTally(): Tally {
  const last = new Map<WorkerProcess, Counts>()
  const retired: Counts[] = []
  return {
    async gather(living) {
      await Promise.all(
        Array.from(living, async (worker) => {
          const counts = await worker.counts()
          if (counts !== undefined && living.has(worker)) last.set(worker, counts)
        }),
      )
      if (retired.length > 1) retired.push(await sumCounts(retired.splice(0)))
      return [...retired, ...last.values()]
    },
    retire(worker) {
      const counts = last.get(worker)?.filter(({ type }) => `${type}` !== 'gauge')
      last.delete(worker)
      if (counts !== undefined) retired.push(counts)
    },
  }
}
