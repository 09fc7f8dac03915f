import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '#oci/digest.ts'
import type { Storage } from './storage/open-storage.ts'

/** Whether a registry should be sent requests. */
export interface Readiness {
  /** Asks the storage, but not more often than it must, and not for longer than a balancer waits. */
  state(): Promise<'ready' | 'stopping' | 'storage fails'>
  /** It is going to stop. */
  stop(): void
}

/** An answer of the storage holds for so long, whoever asks. */
const FRESH_MS = 1000
/** Balancers ask every few seconds, and give up after some. */
const PATIENCE_MS = 3000
const NOTHING = digestOf('')

export function createReadiness({ content, records }: Storage): Readiness {
  let isStopping = false
  let last: { readonly isGood: boolean; readonly at: number } | undefined
  let pending: Promise<boolean> | undefined

  /** One question at a time, however many ask. */
  function ask(): Promise<boolean> {
    pending ??= Promise.all([content.stat(NOTHING), records.get('ready')])
      .then(
        () => true,
        () => false,
      )
      .then((isGood) => {
        last = { isGood, at: performance.now() }
        pending = undefined
        return isGood
      })
    return pending
  }

  async function isStorageGood(): Promise<boolean> {
    if (last !== undefined && performance.now() - last.at < FRESH_MS) return last.isGood
    return Promise.race([ask(), sleep(PATIENCE_MS, false, { ref: false })])
  }

  return {
    async state() {
      if (isStopping) return 'stopping'
      return (await isStorageGood()) ? 'ready' : 'storage fails'
    },
    stop() {
      isStopping = true
    },
  }
}
