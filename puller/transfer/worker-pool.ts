import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { DrayError, errorMessage } from '#oci/error.ts'
import { createGunzips, type Inflater } from '../layers/inflater.ts'
import { workerUrl } from '../worker-url.ts'
import { abandonPrefix } from './prefix.ts'
import {
  type LayerJob,
  type LayerReply,
  type ProcessedLayer,
  processLayer,
  type ThreadData,
} from './process-layer.ts'

/** Threads that verify and unpack blobs, one each at a time. */
export interface WorkerPool {
  /** Waits for a free thread. @throws what {@link processLayer} throws */
  run(job: LayerJob): Promise<ProcessedLayer | undefined>
  /** Gives up the jobs that are not done, and ends all threads. */
  close(): Promise<void>
}

/** What an entry of a layer leaves behind is garbage at once: room for more of it only makes the process bigger. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 12 }

export interface WorkerPoolOptions {
  /** The most threads, each started when there is work for it. With 0 this thread does the work. */
  readonly size: number
  readonly inflater: Inflater
  /** Threads that were started ahead, for the pool to use: whoever started them ends them. */
  readonly started?: readonly Worker[] | undefined
}

/** Makes a pool of threads for layers. */
export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const { size, inflater, started = [] } = options
  if (size === 0) return thisThread(inflater)
  const workers: Worker[] = []
  const running = new Map<LayerJob, Promise<unknown>>()
  const busy = new Int32Array(new SharedArrayBuffer(4))
  const idle = [...started]
  const waiting: PromiseWithResolvers<Worker>[] = []
  let broken: unknown

  const start = () => {
    const worker = startThread({ inflater, ahead: false })
    workers.push(worker)
    return worker
  }
  const acquire = async () => {
    if (broken !== undefined) throw broken
    const worker = idle.pop() ?? (started.length + workers.length < size ? start() : undefined)
    if (worker !== undefined) return worker
    const next = Promise.withResolvers<Worker>()
    waiting.push(next)
    return await next.promise
  }
  const release = (worker: Worker) => {
    const next = waiting.shift()
    if (next === undefined) idle.push(worker)
    else next.resolve(worker)
  }
  /** Another thread would end likewise. */
  const giveUp = (error: unknown) => {
    broken = error
    for (const { reject } of waiting.splice(0)) reject(error)
  }

  const work = async (job: LayerJob) => {
    const worker = await acquire()
    Atomics.add(busy, 0, 1)
    const reply = await ask(worker, { ...job, busy })
      .finally(() => Atomics.sub(busy, 0, 1))
      .catch((error: unknown) => {
        giveUp(error)
        throw error
      })
    release(worker)
    if ('result' in reply) return reply.result
    const { code, message, ...options } = reply.error
    throw new DrayError(code, message, options)
  }

  return {
    async run(job) {
      const result = work(job)
      running.set(job, result)
      try {
        return await result
      } finally {
        running.delete(job)
      }
    },
    async close() {
      for (const { prefix } of running.keys()) abandonPrefix(prefix)
      await Promise.allSettled(running.values())
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}

/** Why threads ended that nobody had a job for yet. */
const failures = new WeakMap<Worker, unknown>()

/**
 * Starts a thread for a pool. That takes a tenth of a second: time for something else. It may be terminated while it has no job:
 * in the middle of loading or calling native code, that can abort the whole process.
 */
export function startThread(workerData: ThreadData): Worker {
  const worker = new Worker(workerUrl(), { workerData, resourceLimits: RESOURCE_LIMITS })
  worker.once('error', (error) => failures.set(worker, error))
  worker.once('exit', () => failures.set(worker, failures.get(worker) ?? new Error('it ended')))
  return worker
}

function thisThread(inflater: Inflater): WorkerPool {
  const gunzipFor = createGunzips(inflater)
  return {
    run: (job) => processLayer(job, gunzipFor),
    close: async () => undefined,
  }
}

/** @throws STORE_FAILED when the thread can't be started, or ends */
async function ask(worker: Worker, job: LayerJob): Promise<LayerReply> {
  const stop = new AbortController()
  const { signal } = stop
  try {
    if (failures.has(worker)) throw failures.get(worker)
    const answer = once(worker, 'message', { signal })
    const end = once(worker, 'exit', { signal }).then(() => {
      throw new Error('it ended before it was done')
    })
    worker.postMessage(job)
    const [reply] = (await Promise.race([answer, end])) as [LayerReply]
    return reply
  } catch (cause) {
    const message = `the thread that unpacks layers failed: ${errorMessage(cause)}`
    throw new DrayError('STORE_FAILED', message, { cause })
  } finally {
    stop.abort()
  }
}
