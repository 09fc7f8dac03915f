import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { DrayError } from '#oci/error.ts'

export interface Comparison {
  readonly id: number
  readonly password: string
  readonly hash: string
}

export interface ComparisonResult {
  readonly id: number
  readonly isEqual: boolean
}

/** Compares passwords with their hashes beside the thread that serves. */
export interface PasswordThread {
  /** @throws TOOMANYREQUESTS when too many wait */
  compare(password: string, hash: string): Promise<boolean>
  close(): Promise<void>
}

/** Some seconds of work: who comes later is told to. */
const MOST_WAITING = 64

/** The thread starts with the first comparison, and holds no process. */
export function createPasswordThread(): PasswordThread {
  const waiting = new Map<number, PromiseWithResolvers<boolean>>()
  let thread: Worker | undefined
  let last = 0

  function start(): Worker {
    const started = new Worker(workerUrl())
    started.unref()
    started.on('message', ({ id, isEqual }: ComparisonResult) => {
      waiting.get(id)?.resolve(isEqual)
      waiting.delete(id)
    })
    const fail = (error: Error) => {
      if (thread === started) thread = undefined
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
    }
    started.once('error', fail)
    started.once('exit', () => fail(new Error('the thread for passwords has ended')))
    return started
  }

  return {
    compare(password, hash) {
      if (waiting.size >= MOST_WAITING) {
        const why = 'too many log-ins at once: try again in a few seconds'
        throw new DrayError('TOOMANYREQUESTS', why, { retryable: true })
      }
      thread ??= start()
      const result = Promise.withResolvers<boolean>()
      const id = ++last
      waiting.set(id, result)
      thread.postMessage({ id, password, hash } satisfies Comparison)
      return result.promise
    },
    async close() {
      await thread?.terminate()
    },
  }
}

/** This file lies one directory below the root, and so does what the build makes of it (see scripts/build.ts). */
function workerUrl(): URL {
  return new URL(`../registry/password-worker${extname(import.meta.url)}`, import.meta.url)
}
