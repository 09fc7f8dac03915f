import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '#oci/digest.ts'
import type { HashPeers } from '../storage/running-hashes.ts'
import type { Order, Report } from './messages.ts'

/** Reading the bytes again takes a large upload longer. */
const ANSWER_TIMEOUT_MS = 2000

/** The other workers, reached through the primary. */
export function createPeers(report: (message: Report) => Promise<void>): HashPeers {
  const asking = new Map<number, (digest: Digest | undefined) => void>()
  let asked = 0
  return {
    async ask(question) {
      const id = asked++
      const answered = new Promise<Digest | undefined>((resolve) => asking.set(id, resolve))
      await report({ type: 'digest?', id, question })
      const timeout = sleep(ANSWER_TIMEOUT_MS, undefined, { ref: false })
      return await Promise.race([answered, timeout]).finally(() => asking.delete(id))
    },
    onQuestion(answer) {
      process.on('message', (order: Order) => {
        if (order.type === 'digest') asking.get(order.id)?.(order.digest)
        if (order.type !== 'digest?') return
        void report({ type: 'digest', id: order.id, digest: answer(order.question) })
      })
    },
  }
}
