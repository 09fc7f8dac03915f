import { statSync } from 'node:fs'
import type { Logger } from 'pino'

const LOOK_EVERY_MS = 1000

export interface WatchOptions {
  readonly logger: Logger
  readonly now?: () => number
  readonly lookEveryMs?: number
}

/**
 * What a file, or several, hold, read again when they have changed. Looks when it is asked, at most once a second. A
 * change that can't be used is logged, and what was there before stays.
 *
 * @throws what `read` throws, the first time
 */
export function watchFiles<T>(
  paths: readonly string[],
  read: () => T,
  { logger, now = Date.now, lookEveryMs = LOOK_EVERY_MS }: WatchOptions,
): () => T {
  let value = read()
  let state = stateOf(paths)
  let looked = now()
  return () => {
    if (now() - looked < lookEveryMs) return value
    looked = now()
    const found = stateOf(paths)
    if (found === state) return value
    state = found
    try {
      value = read()
      logger.info({ paths }, 'read changed files again')
    } catch (err) {
      logger.error({ err, paths }, 'cannot use a changed file: what it held before stays in force')
    }
    return value
  }
}

/** Differs when a file was written, or another one took its place, by a link of Kubernetes for instance. */
function stateOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
      return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
    })
    .join('\n')
}
