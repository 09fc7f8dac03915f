import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Digest } from '#oci/digest.ts'
import { checkSources } from '../auth/sources.ts'
import type { RegistryConfig } from '../config.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Registry } from '../server.ts'
import type { DigestQuestion } from '../storage/running-hashes.ts'
import { startWorker, type WorkerProcess } from './worker-process.ts'

const FIRST_DELAY_MS = 100
const LONGEST_DELAY_MS = 10_000
/** A worker that has lived for so long did not end because of how it was started. */
const SETTLED_MS = 60_000
/** For closing the storage, after the requests have had their time. */
const KILL_MARGIN_MS = 5000

/**
 * Starts a registry as `config.workers` processes behind one listener. Each runs the command line of this process
 * again, which must lead it to `runWorker`. A worker that ends is replaced.
 *
 * The first worker starts alone: it checks the storage and takes the address, so that what is wrong is said once.
 *
 * @throws what `startRegistry` throws
 */
export async function startWorkers(
  config: RegistryConfig,
  { logger }: { readonly logger: Logger },
): Promise<Registry> {
  cluster.setupPrimary({ serialization: 'advanced' })
  const living = new Set<WorkerProcess>()
  if (config.metrics === undefined) return startAll(config, { living, logger })
  const { startCounted } = await import('../metrics/metrics-server.ts')
  const { createTally } = await import('./tally.ts')
  const tally = createTally()
  return startCounted(config.metrics.listen, {
    logger,
    start: (metrics) => startAll(config, { living, logger, metrics, onEnd: tally.retire }),
    others: () => tally.gather(living),
  })
}

interface AllOptions {
  readonly logger: Logger
  readonly metrics?: Metrics
  /** Kept up to date. */
  readonly living: Set<WorkerProcess>
  readonly onEnd?: (worker: WorkerProcess) => void
}

async function startAll(
  config: RegistryConfig,
  { living, logger, metrics, onEnd }: AllOptions,
): Promise<Registry> {
  const stopping = new AbortController()
  let current = config
  const start = (worker: number) => {
    const started: WorkerProcess = startWorker(
      { config: current, worker, isLead: worker === 1 },
      (question) => firstAnswer(living, started, question),
    )
    living.add(started)
    void started.ended.then(() => {
      living.delete(started)
      onEnd?.(started)
    })
    return started
  }
  const first = start(1)
  const { url, port } = await first.listening
  const all = [first, ...Array.from({ length: config.workers - 1 }, (_, i) => start(i + 2))]
  const kept = all.map((worker, i) =>
    keepAlive(worker, { start: () => start(i + 1), signal: stopping.signal, logger, metrics }),
  )
  await Promise.allSettled(all.map((worker) => worker.listening))
  return {
    url,
    port,
    reload(next) {
      checkSources(next.auth)
      current = next
      for (const worker of living) worker.reload(next)
    },
    async close() {
      stopping.abort()
      for (const worker of living) worker.stop()
      const timer = setTimeout(
        () => {
          for (const worker of living) worker.kill()
        },
        config.shutdownDelayMs + config.shutdownTimeoutMs + KILL_MARGIN_MS,
      )
      await Promise.all(kept)
      clearTimeout(timer)
    },
  }
}

/** What any worker but the one that asks knows of an upload. */
async function firstAnswer(
  workers: ReadonlySet<WorkerProcess>,
  asker: WorkerProcess,
  question: DigestQuestion,
): Promise<Digest | undefined> {
  const others = [...workers].filter((worker) => worker !== asker)
  const answers = others.map(
    async (worker) => (await worker.digestOf(question)) ?? Promise.reject(),
  )
  return Promise.any(answers).catch(() => undefined)
}

interface Keeping {
  readonly start: () => WorkerProcess
  /** Ends the keeping, when the worker has ended. */
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly metrics: Metrics | undefined
}

/** Replaces a worker whenever it ends: at once at first, then less and less often while it keeps ending early. */
async function keepAlive(worker: WorkerProcess, keeping: Keeping): Promise<void> {
  const { start, signal, logger, metrics } = keeping
  let delayMs = FIRST_DELAY_MS
  for (let current = worker; ; current = start()) {
    const started = performance.now()
    const err = await current.ended
    if (signal.aborted) return
    if (performance.now() - started > SETTLED_MS) delayMs = FIRST_DELAY_MS
    metrics?.workerReplaced()
    logger.error({ err, ended: current.pid, delayMs }, 'a worker has ended, another one follows')
    await sleep(delayMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)
  }
}
