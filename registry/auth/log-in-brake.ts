import { LRUCache } from 'lru-cache'

/** Slows down whoever keeps failing to log in. */
export interface LogInBrake {
  /** Milliseconds that must pass before the next try; 0 when it may be made now. */
  waitMs(user: string, address: string): number
  failed(user: string, address: string): void
  succeeded(user: string, address: string): void
}

interface Failures {
  readonly count: number
  readonly blockedUntil: number
}

const REMEMBERED = 100_000
const REMEMBERED_MS = 15 * 60_000
const LONGEST_WAIT_MS = 5 * 60_000

/**
 * Beyond the free failures each one doubles the time until the next try: 1 s, 2 s, 4 s, at most 5 minutes. After a
 * quarter of an hour without a failure everything is forgotten.
 */
export function createLogInBrake(now: () => number = Date.now): LogInBrake {
  const failures = new LRUCache<string, Failures>({ max: REMEMBERED, ttl: REMEMBERED_MS })
  return {
    waitMs: (user, address) =>
      Math.max(
        0,
        ...scopesOf(user, address).map(({ key }) => (failures.get(key)?.blockedUntil ?? 0) - now()),
      ),
    failed(user, address) {
      for (const { key, free } of scopesOf(user, address)) {
        const count = (failures.get(key)?.count ?? 0) + 1
        const waitMs = count <= free ? 0 : Math.min(1000 * 2 ** (count - free - 1), LONGEST_WAIT_MS)
        failures.set(key, { count, blockedUntil: now() + waitMs })
      }
    },
    succeeded(user, address) {
      for (const { key, isForgiven } of scopesOf(user, address)) {
        if (isForgiven) failures.delete(key)
      }
    },
  }
}

/**
 * What one try counts for. The address alone, and the user from anywhere, are slowed down only by what no honest
 * mistake comes to; and who knows one password can't have the tries for others forgotten.
 */
function scopesOf(user: string, address: string) {
  return [
    { key: `pair ${address} ${user}`, free: 5, isForgiven: true },
    { key: `address ${address}`, free: 50, isForgiven: false },
    { key: `user ${user}`, free: 100, isForgiven: true },
  ]
}
