import { readdirSync } from 'node:fs'
import { errnoOf } from '#oci/errno.ts'
import { idleThread } from './sys.ts'

/**
 * Lets this process have only the CPU and disk time that nobody else wants, from now on and for good: its threads, those that
 * they start, and processes that they run.
 *
 * @throws SYSCALL_FAILED
 */
export function lowerPriority(): void {
  for (const tid of readdirSync('/proc/self/task')) {
    try {
      idleThread(Number(tid))
    } catch (error) {
      // The thread has ended.
      if (errnoOf(error) !== 'ESRCH') throw error
    }
  }
}
