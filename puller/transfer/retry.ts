import { setTimeout as sleep } from 'node:timers/promises'
import { isDrayError } from '#oci/error.ts'

export interface RetryOptions {
  readonly signal?: AbortSignal | undefined
  /** How often in all the work is tried. */
  readonly tries?: number
  /** Delay before the second try, doubled for each further one, in ms. */
  readonly baseDelayMs?: number
  /** Whether the try that just failed was worth it all the same; the tries are counted anew then. */
  readonly madeProgress?: () => boolean
}

/** Tries for the bytes of an image: six seconds on average, so that a registry may be started anew meanwhile. */
export const TRIES_OF_TRANSFER = 7

const MAX_DELAY_MS = 30_000

/**
 * Tries work again after errors that say they are retryable, with exponential back-off and full jitter, so that
 * many clients don't come back in step. A `retryAfterMs` in the detail of the error (from `Retry-After`) is kept to.
 */
export async function withRetries<T>(
  work: (attempt: number) => Promise<T>,
  { signal, tries = 5, baseDelayMs = 200, madeProgress = () => false }: RetryOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      signal?.throwIfAborted()
      if (madeProgress()) attempt = 1
      if (!isDrayError(error) || !error.retryable || attempt >= tries) throw error
      const backOff = Math.min(MAX_DELAY_MS, baseDelayMs * 2 ** (attempt - 1)) * Math.random()
      await sleep(Math.max(backOff, retryAfterMs(error.detail)), undefined, { signal })
    }
  }
}

function retryAfterMs(detail: unknown): number {
  if (typeof detail !== 'object' || detail === null || !('retryAfterMs' in detail)) return 0
  const { retryAfterMs } = detail
  return typeof retryAfterMs === 'number' ? Math.min(retryAfterMs, MAX_DELAY_MS * 2) : 0
}
