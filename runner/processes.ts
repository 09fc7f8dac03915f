import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { isErrno } from '#oci/error.ts'

const GONE_WITHIN_MS = 2000
const POLL_MS = 10

/** The numbers of the processes that were started with exactly these words. */
export async function findProcesses(words: readonly string[]): Promise<number[]> {
  const wanted = words.map((word) => `${word}\0`).join('')
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(
    names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')),
  )
  return names.filter((_, at) => lines[at] === wanted).map(Number)
}

/** Sends a signal; that the process is gone is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/** Kills a process and waits until it runs no more, for two seconds at most. */
export async function killAndWait(pid: number): Promise<void> {
  sendSignal(pid, 'SIGKILL')
  const deadline = performance.now() + GONE_WITHIN_MS
  while ((await isRunning(pid)) && performance.now() < deadline) await delay(POLL_MS)
}

/** A process that only waits for its parent to notice its end doesn't run any more: it has no command line. */
async function isRunning(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''
}
