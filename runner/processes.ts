import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isErrno } from '#oci/error.ts'

const GONE_WITHIN_MS = 2000
const POLL_MS = 10

/** The numbers of the processes that run one of some programs, named by their files, with a word in their command line. */
export async function findPrograms(names: readonly string[], word: string): Promise<number[]> {
  const pids = allPids()
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  )
  return pids.filter((_, at) => {
    const [program = '', ...words] = (lines[at] ?? '').split('\0')
    return names.includes(basename(program)) && words.includes(word)
  })
}

/** The numbers of all processes that there are. */
function allPids(): number[] {
  const names = readdirSync('/proc')
  return names.filter((name) => /^\d+$/.test(name)).map(Number)
}

/** Milliseconds on a clock that nobody sets. `performance` would load modules of Node that cost as many as a command's own. */
export function monotonicMs(): number {
  return process.uptime() * 1000
}

/** Sends a signal; that the process is gone is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/** Kills a process and waits until it runs no more, for two seconds at most. */
export async function killAndWait(pid: number): Promise<void> {
  sendSignal(pid, 'SIGKILL')
  const deadline = monotonicMs() + GONE_WITHIN_MS
  while ((await isRunning(pid)) && monotonicMs() < deadline) await delay(POLL_MS)
}

/** A process that only waits for its parent to notice its end doesn't run any more: it has no command line. */
async function isRunning(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''
}

/** Whether a process is one of some programs, named by their files, or about to become another one. */
export function isStillProgram(pid: number, names: readonly string[]): boolean {
  const [state] = statFields(pid) ?? []
  if (state === undefined || state === 'Z') return false
  // In the middle of exec(2) there is no command line.
  const program = basename(commandLine(pid)[0] ?? '')
  return program === '' || names.includes(program)
}

/** When a process was started, in ticks since the boot, which tells it from a later one of the same number. */
export function startTicks(pid: number): string | undefined {
  return statFields(pid)?.[19]
}

/** Whether the process that was started then still runs; one that only waits for its parent to notice its end doesn't. */
export function isSameProcess(pid: number, ticks: string): boolean {
  const fields = statFields(pid)
  return fields !== undefined && fields[0] !== 'Z' && fields[19] === ticks
}

/** The numbers of a process's children that haven't ended. */
export function childrenOf(pid: number): number[] {
  return allPids().filter((child) => {
    const [state, parent] = statFields(child) ?? []
    return state !== 'Z' && parent === String(pid)
  })
}

/** Whether a process's command line holds a word. */
export function hasWord(pid: number, word: string): boolean {
  return commandLine(pid).includes(word)
}

/** Empty when the process is gone. */
function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

/** What the kernel calls a namespace of a process, such as `user:[4026532201]`; undefined when it has ended, or is somebody else's. */
export function namespaceOf(pid: number, kind: 'pid' | 'user' | 'mnt'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`)
  } catch {
    return undefined
  }
}

/** The numbers of the processes in a namespace, by what the kernel calls it. */
export function processesIn(kind: 'pid' | 'user', namespace: string): number[] {
  return allPids().filter((pid) => namespaceOf(pid, kind) === namespace)
}

/** The numbers of the processes that see the same processes as another one, which may be all. */
export function processesBeside(pid: number): number[] {
  const own = namespaceOf(pid, 'pid')
  return own === undefined ? [] : processesIn('pid', own)
}

/** Changes with every boot of the host. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

/** The fields of /proc/PID/stat (proc(5)) from the third on; the second may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
