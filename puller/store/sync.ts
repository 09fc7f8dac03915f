import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { syncFileSystem } from '../sys.ts'

/** A file system that is written to its disk while work goes on, so that little is left to wait for at the end. */
export interface Syncing {
  /** Resolves when everything written before this call is on the disk. */
  finish(): Promise<void>
  /** Ends it without waiting for more than what is under way. */
  stop(): Promise<void>
}

const PAUSE_MS = 100

/** Starts writing the file system that holds a directory to its disk, again and again. */
export function startSyncing(dir: string): Syncing {
  const stop = new AbortController()
  const directory = open(dir, 'r')
  const background = syncRepeatedly(directory, stop.signal)
  const end = async () => {
    stop.abort()
    await background
  }
  return {
    async finish() {
      await end()
      await syncFileSystem((await directory).fd)
    },
    async stop() {
      await end()
      await (await directory).close()
    },
  }
}

/** Failures don't count here: the last sync, which does, will meet them again. */
async function syncRepeatedly(directory: Promise<FileHandle>, signal: AbortSignal): Promise<void> {
  try {
    const { fd } = await directory
    while (!signal.aborted) {
      await sleep(PAUSE_MS, undefined, { signal })
      await syncFileSystem(fd)
    }
  } catch {}
}
