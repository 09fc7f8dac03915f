import { hash as digest, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { PasswordThread } from '../password-thread.ts'
import type { Passwords } from './htpasswd.ts'

/** Whether a user has a password. */
export type PasswordCheck = (name: string, password: string) => Promise<boolean>

/** bcrypt looks at no more. */
const PASSWORD_LIMIT = 72
const REMEMBERED = 10_000
const REMEMBERED_MS = 10 * 60_000

/**
 * Checks passwords. Those that were right are remembered for a while, by a hash over them, a secret and the stored hash:
 * a changed password is a new one.
 */
export function createPasswordCheck(
  passwords: () => Passwords,
  thread: PasswordThread,
): PasswordCheck {
  const secret = randomBytes(32).toString('base64')
  const right = new LRUCache<string, true>({ max: REMEMBERED, ttl: REMEMBERED_MS })
  const running = new Map<string, Promise<boolean>>()

  async function compare(key: string, password: string, hash: string): Promise<boolean> {
    try {
      return await thread.compare(password, hash)
    } finally {
      running.delete(key)
    }
  }

  return async (name, password) => {
    if (Buffer.byteLength(password) > PASSWORD_LIMIT) return false
    const stored = passwords().get(name)
    // Users who don't exist take as long to refuse as those who do.
    const [decoy] = passwords().values()
    const hash = stored ?? decoy
    if (hash === undefined) return false
    // In one call: setting up an HMAC costs more than all else that is done for a password.
    const key = digest('sha256', `${secret}\n${hash}\n${name}\n${password}`, 'base64')
    if (right.has(key)) return true
    const comparison = running.get(key) ?? compare(key, password, hash)
    running.set(key, comparison)
    const isRight = (await comparison) && stored !== undefined
    if (isRight) right.set(key, true)
    return isRight
  }
}
