import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { DrayError } from '#oci/error.ts'
import { runtimeEnvironment } from './cgroup.ts'
import { sendSignal } from './processes.ts'
import { type OciRuntime, untilProgramRuns } from './runtime.ts'
import { exitCodeOfSignal, passSignal, type SignalCatcher } from './signals.ts'
import { keepDescriptorsPrivate } from './sys.ts'

/** What a container's command gets as standard input, output and error: as the same option of `child_process`. */
export type Stdio = readonly [
  stdin: 'inherit' | 'ignore' | number,
  stdout: 'inherit' | 'pipe' | number,
  stderr: 'inherit' | 'pipe' | number,
]

/** An OCI runtime to start, and what it is connected to. */
export interface RuntimeProcess {
  readonly runtime: OciRuntime
  readonly args: readonly string[]
  /** Where the runtime writes the number of the container's first process. */
  readonly pidFile: string
  readonly stdio: Stdio
  /** Told what comes out of pipes. */
  readonly onOutput?: ((piece: Buffer) => void) | undefined
  /** Whether the runtime talks to the terminal itself, and so must stay in its foreground. */
  readonly tty: boolean
  readonly searchPath: string | undefined
}

/** What may end a container from outside. */
export interface Interruptions {
  readonly signals: SignalCatcher
  /** Ends the container: SIGTERM, and SIGKILL after `stopTimeoutMs`. */
  readonly abort?: AbortSignal | undefined
  readonly stopTimeoutMs: number
}

const PID_POLL_MS = 10
/** What the command left running may hold a pipe open for ever. */
const DRAINED_WITHIN_MS = 1000

/**
 * Starts an OCI runtime that stays until its container ends, and hands signals to the container's first process.
 *
 * @returns the exit code: the command's own, or 128 and the signal that ended it
 * @throws RUN_FAILED when the runtime cannot be started or is killed itself
 */
export async function superviseRuntime(
  options: RuntimeProcess,
  interruptions: Interruptions,
): Promise<number> {
  keepDescriptorsPrivate()
  const child = spawn(options.runtime.path, options.args, spawnOptions(options))
  const ended = endOf(child, options.runtime)
  const drained = drain(child, options.onOutput)
  const deliverer = new Deliverer(child, options)
  const stop = () => void deliverer.stop(interruptions.stopTimeoutMs)
  interruptions.signals.deliverTo((signal) => void deliverer.deliver(signal))
  interruptions.abort?.addEventListener('abort', stop)
  if (interruptions.abort?.aborted) stop()
  try {
    const exitCode = await ended
    await drained()
    return deliverer.killedFor === undefined ? exitCode : exitCodeOfSignal(deliverer.killedFor)
  } finally {
    interruptions.abort?.removeEventListener('abort', stop)
    interruptions.signals.deliverTo(() => {})
  }
}

/**
 * Without a terminal inside, the runtime gets a session of its own: Ctrl-C reaches the container once, by us. Of the
 * environment it needs nothing but the PATH, and to find an ordinary user's systemd.
 */
function spawnOptions(options: RuntimeProcess): SpawnOptions {
  return {
    stdio: [...options.stdio],
    detached: !options.tty,
    env: runtimeEnvironment(options.searchPath),
  }
}

/** Reads the pipes of a child. @returns what waits, after its end, until all was read */
function drain(
  child: ChildProcess,
  onOutput: ((piece: Buffer) => void) | undefined,
): () => Promise<void> {
  const pipes = [child.stdout, child.stderr].filter((pipe) => pipe !== null)
  const closed = Promise.all(pipes.map((pipe) => once(pipe, 'close')))
  for (const pipe of pipes) pipe.on('data', (piece) => onOutput?.(piece))
  return async () => {
    if (pipes.length > 0) await Promise.race([closed, delay(DRAINED_WITHIN_MS)])
    for (const pipe of pipes) pipe.destroy()
  }
}

function endOf(child: ChildProcess, runtime: OciRuntime): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      const message = `cannot start ${runtime.path}: ${error.message}`
      reject(new DrayError('RUN_FAILED', message, { cause: error }))
    })
    child.once('exit', (code, signal) => {
      if (code !== null) resolve(code)
      else reject(new DrayError('RUN_FAILED', `${runtime.path} was killed by ${signal}`))
    })
  })
}

/** Hands signals to a container's first process as soon as there is one. */
class Deliverer {
  readonly #child: ChildProcess
  readonly #pidFile: string
  readonly #runtime: string
  /** The signal that the first process would not have noticed, so that it was killed in its place. */
  killedFor: NodeJS.Signals | undefined

  constructor(child: ChildProcess, { pidFile, runtime }: RuntimeProcess) {
    this.#child = child
    this.#pidFile = pidFile
    this.#runtime = runtime.path
  }

  async deliver(signal: NodeJS.Signals): Promise<void> {
    const pid = await this.#firstProcess()
    if (pid === undefined) return
    await untilProgramRuns(pid, this.#runtime)
    if (this.#isRunning()) this.killedFor ??= passSignal(signal, pid)
  }

  async stop(timeoutMs: number): Promise<void> {
    await this.deliver('SIGTERM')
    const timer = setTimeout(() => void this.#kill(), timeoutMs)
    this.#child.once('exit', () => clearTimeout(timer))
  }

  async #kill(): Promise<void> {
    const pid = await this.#firstProcess()
    if (pid !== undefined) sendSignal(pid, 'SIGKILL')
  }

  /** Undefined once the runtime has ended. Until then the number belongs to the process: the runtime has yet to reap it. */
  async #firstProcess(): Promise<number | undefined> {
    while (this.#isRunning()) {
      const pid = readPid(this.#pidFile)
      if (pid !== undefined) return pid
      await delay(PID_POLL_MS)
    }
    return undefined
  }

  #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'latin1'))
    return Number.isInteger(pid) && pid > 1 ? pid : undefined
  } catch {
    return undefined
  }
}
