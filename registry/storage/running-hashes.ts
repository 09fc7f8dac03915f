import { createHash, type Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Digest, type DigestAlgorithm, finishDigest } from '#oci/digest.ts'
import type { UploadKey } from './blob-driver.ts'

/** The hash of the first `size` bytes of an upload, ready to take the next ones. */
export interface RunningHash {
  readonly algorithm: DigestAlgorithm
  readonly hash: Hash
  readonly size: number
}

/** Which digest an upload has that stands at `size`. */
export interface DigestQuestion {
  readonly key: UploadKey
  readonly size: number
  readonly algorithm: DigestAlgorithm
}

/** The other processes of this machine, to whom earlier requests of an upload may have gone. */
export interface HashPeers {
  /** Asks them all; undefined when none has hashed just these bytes, or none says so in time. */
  ask(question: DigestQuestion): Promise<Digest | undefined>
  /** Has `answer` called for what they ask. */
  onQuestion(answer: (question: DigestQuestion) => Digest | undefined): void
}

export interface RunningHashes {
  /** Takes the hash of an upload that stands at `size` out, if this process has it. */
  take(key: UploadKey, size: number): RunningHash | undefined
  /** Puts a hash back for the next request of the same upload. */
  keep(key: UploadKey, running: RunningHash): void
  drop(key: UploadKey): void
  /**
   * The digest of an upload that is about to end, if this process has hashed it, or a peer: a client's requests may come
   * over several connections, which lead to different processes. What was kept of the upload is dropped.
   */
  finish(question: DigestQuestion): Promise<Digest | undefined>
}

const MOST_UPLOADS = 10_000
const IDLE_MS = 30 * 60_000

/**
 * Remembers, within bounds, how far uploads have been hashed by this process, so that a commit need not read them
 * again. Losing an entry costs time, never correctness: the state of a hash can't be stored elsewhere in Node.
 */
export function createRunningHashes(peers?: HashPeers): RunningHashes {
  const cache = new LRUCache<UploadKey, RunningHash>({ max: MOST_UPLOADS, ttl: IDLE_MS })

  function take(key: UploadKey, size: number): RunningHash | undefined {
    const running = cache.get(key)
    cache.delete(key)
    return running?.size === size ? running : undefined
  }

  function finish({ key, size, algorithm }: DigestQuestion): Digest | undefined {
    const running = take(key, size)
    if (running?.algorithm !== algorithm) return undefined
    return finishDigest(algorithm, running.hash)
  }

  peers?.onQuestion(finish)
  return {
    take,
    finish: async (question) => finish(question) ?? (await peers?.ask(question)),
    keep: (key, running) => void cache.set(key, running),
    drop: (key) => void cache.delete(key),
  }
}

/** The hash of nothing yet. */
export function startHash(algorithm: DigestAlgorithm = 'sha256'): RunningHash {
  return { algorithm, hash: createHash(algorithm), size: 0 }
}
