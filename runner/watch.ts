import { watch } from 'node:fs'

/** Tells when a file or directory changes. */
export interface Changes {
  /** Resolves at the next change, after `withinMs`, or when `signal` is aborted. Changes before the call don't count. */
  next(withinMs: number, signal?: AbortSignal): Promise<void>
  close(): void
}

/** Watches a path. Where that can't be done, because it isn't there or there are too many watchers, time is all that counts. */
export function watchPath(path: string): Changes {
  let wake = () => {}
  let close = () => {}
  try {
    const watcher = watch(path, () => wake())
    watcher.on('error', () => undefined)
    close = () => watcher.close()
  } catch {}
  return {
    next: (withinMs, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, withinMs)
        signal?.addEventListener('abort', done)
        wake = done
      }),
    close,
  }
}
