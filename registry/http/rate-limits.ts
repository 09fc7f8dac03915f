import { LRUCache } from 'lru-cache'
import { DrayError } from '#oci/error.ts'

export interface RateLimitOptions {
  /** Requests that are let through each second, on average. */
  readonly requestsPerSecond?: number | undefined
  /** Requests that are let through at once, after a rest. */
  readonly burst: number
  /** Requests that may run at the same time. */
  readonly concurrentRequests?: number | undefined
  readonly now?: () => number
}

/** Counts a request for whoever makes it; the function that comes back is called at its end. @throws TOOMANYREQUESTS */
export type RateLimits = (who: string) => () => void

interface Account {
  /** Requests that may still be made at `at`. */
  left: number
  at: number
  running: number
}

const MOST_ACCOUNTS = 100_000
const UNLIMITED: RateLimits = () => () => {}

/** Limits of this process, in memory. */
export function createRateLimits(options: RateLimitOptions): RateLimits {
  const {
    requestsPerSecond,
    burst,
    concurrentRequests,
    now = performance.now.bind(performance),
  } = options
  if (requestsPerSecond === undefined && concurrentRequests === undefined) return UNLIMITED
  const rate = requestsPerSecond ?? Number.POSITIVE_INFINITY
  const most = concurrentRequests ?? Number.POSITIVE_INFINITY
  const accounts = new LRUCache<string, Account>({ max: MOST_ACCOUNTS })

  return (who) => {
    const time = now()
    const account = accounts.get(who) ?? { left: burst, at: time, running: 0 }
    accounts.set(who, account)
    account.left = Math.min(burst, account.left + ((time - account.at) / 1000) * rate)
    account.at = time
    if (account.left < 1) throw tooMany('too many requests', (1 - account.left) / rate)
    if (account.running >= most) throw tooMany('too many requests at once', 1)
    if (requestsPerSecond !== undefined) account.left--
    account.running++
    return () => {
      account.running--
    }
  }
}

function tooMany(why: string, seconds: number): DrayError {
  const retryAfterSeconds = Math.max(1, Math.ceil(seconds))
  return new DrayError('TOOMANYREQUESTS', `${why}: try again in ${retryAfterSeconds} s`, {
    detail: { retryAfterSeconds },
    retryable: true,
  })
}
