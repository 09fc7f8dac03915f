import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '#oci/digest.ts'
import type { RegistryConfig } from '../config.ts'
import type { Counts } from '../metrics/metrics.ts'
import type { DigestQuestion } from '../storage/running-hashes.ts'
import { type Order, type Report, unpackError } from './messages.ts'

/** Prometheus gives up after 10 s, as a rule. */
const ANSWER_TIMEOUT_MS = 3000

/** A worker as the primary sees it. */
export interface WorkerProcess {
  readonly pid: number | undefined
  /** Where it listens; rejects when it ends before it does. */
  readonly listening: Promise<Listening>
  /** Resolves when it has ended, to why. */
  readonly ended: Promise<Error>
  /** Has it take the rules of another configuration. */
  reload(config: RegistryConfig): void
  /** What it has counted; undefined when it doesn't say so in time. */
  counts(): Promise<Counts | undefined>
  /** What it knows of an upload; undefined when that is nothing, or it doesn't say so in time. */
  digestOf(question: DigestQuestion): Promise<Digest | undefined>
  /** Lets it finish its requests and end. */
  stop(): void
  kill(): void
}

export interface Listening {
  readonly url: string
  readonly port: number
}

/** Starts a worker, and tells it what to do once it asks. */
export function startWorker(
  order: {
    readonly config: RegistryConfig
    readonly worker: number
    readonly isLead: boolean
  },
  askOthers: (question: DigestQuestion) => Promise<Digest | undefined>,
): WorkerProcess {
  const worker = cluster.fork()
  const listening = Promise.withResolvers<Listening>()
  const ended = Promise.withResolvers<Error>()
  // Who doesn't wait for it to listen waits for its end.
  listening.promise.catch(() => {})
  const asking = new Map<number, (report: Report) => void>()
  let asked = 0
  let isStopping = false
  let failure: Error | undefined
  const tell = (message: Order) => {
    if (worker.isConnected()) worker.send(message, () => {})
  }
  const ask = async (order: (id: number) => Order) => {
    const id = asked++
    const answered = new Promise<Report>((resolve) => asking.set(id, resolve))
    tell(order(id))
    const timeout = sleep(ANSWER_TIMEOUT_MS, undefined, { ref: false })
    return await Promise.race([answered, timeout]).finally(() => asking.delete(id))
  }
  const answer = async ({ id, question }: Extract<Report, { type: 'digest?' }>) => {
    tell({ type: 'digest', id, digest: await askOthers(question) })
  }
  worker.on('message', (report: Report) => {
    if (report.type === 'listening') listening.resolve(report)
    else if (report.type === 'failed') failure = unpackError(report.error)
    else if (report.type === 'counts' || report.type === 'digest') asking.get(report.id)?.(report)
    else if (report.type === 'digest?') void answer(report)
    else tell(isStopping ? { type: 'stop' } : { type: 'start', ...order })
  })
  worker.once('exit', (code: number, signal: string | null) => {
    const error = failure ?? new Error(`worker ${order.worker} ended with ${signal ?? code}`)
    listening.reject(error)
    ended.resolve(error)
  })
  return {
    pid: worker.process.pid,
    listening: listening.promise,
    ended: ended.promise,
    reload: (config) => tell({ type: 'reload', config }),
    async counts() {
      const report = await ask((id) => ({ type: 'count', id }))
      return report?.type === 'counts' ? report.counts : undefined
    },
    async digestOf(question) {
      const report = await ask((id) => ({ type: 'digest?', id, question }))
      return report?.type === 'digest' ? report.digest : undefined
    },
    stop() {
      isStopping = true
      tell({ type: 'stop' })
    },
    kill: () => void worker.process.kill('SIGKILL'),
  }
}
