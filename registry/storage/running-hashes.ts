import { createHash, type Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { DigestAlgorithm } from '#oci/digest.ts'
import type { UploadKey } from './blob-driver.ts'

/** The hash of the first `size` bytes of an upload, ready to take the next ones. */
export interface RunningHash {
  readonly algorithm: DigestAlgorithm
  readonly hash: Hash
  readonly size: number
}

export interface RunningHashes {
  /** Takes the hash of an upload that stands at `size` out, if this process has it. */
  take(key: UploadKey, size: number): RunningHash | undefined
  /** Puts a hash back for the next request of the same upload. */
  keep(key: UploadKey, running: RunningHash): void
  drop(key: UploadKey): void
}

const MOST_UPLOADS = 10_000
const IDLE_MS = 30 * 60_000

/**
 * Remembers, within bounds, how far uploads have been hashed by this process, so that a commit need not read them
 * again. Losing an entry costs time, never correctness: the state of a hash can't be stored elsewhere in Node.
 */
export function createRunningHashes(): RunningHashes {
  const cache = new LRUCache<UploadKey, RunningHash>({ max: MOST_UPLOADS, ttl: IDLE_MS })
  return {
    take(key, size) {
      const running = cache.get(key)
      cache.delete(key)
      return running?.size === size ? running : undefined
    },
    keep: (key, running) => void cache.set(key, running),
    drop: (key) => void cache.delete(key),
  }
}

/** The hash of nothing yet. */
export function startHash(algorithm: DigestAlgorithm = 'sha256'): RunningHash {
  return { algorithm, hash: createHash(algorithm), size: 0 }
}
