import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { DrayError } from '#oci/error.ts'
import { readCgroups, runtimeEnvironment } from '../cgroup.ts'
import { type Container, readState } from '../containers/state.ts'
import { recordEvent } from '../events/record.ts'
import { rootOf } from '../layout.ts'
import { pauseArguments, resumeArguments, runtimeMessage } from '../runtime.ts'
import { requireRunning } from './kill.ts'

const run = promisify(execFile)

/** Freezes all processes of a container. @throws CONTAINER_STATE unless it runs */
export async function pauseContainer(container: Container): Promise<void> {
  await checkPausable(container)
  await call(container, pauseArguments)
  recordEvent(rootOf(container.paths), container.record, 'pause')
}

async function checkPausable(container: Container): Promise<void> {
  requireRunning(container)
  if (readState(container).status === 'paused') throw wrongState(container, 'paused already')
  const { obstacle } = await readCgroups()
  if (obstacle !== undefined) throw new DrayError('RUN_FAILED', `cannot freeze it: ${obstacle}`)
}

// Of a pipe that its reader has left, a shell would end.
const PAUSE_UNTIL_END_OF_INPUT = `trap '' PIPE
"$1" --root "$2" pause "$3" || exit
echo paused
cat >/dev/null
exec "$1" --root "$2" resume "$3"`

/**
 * {@link pauseContainer}, as long as this process lives: a shell beside it sees its end.
 *
 * @returns what lets the container go on
 */
export async function pauseWhileAlive(container: Container): Promise<() => Promise<void>> {
  await checkPausable(container)
  const { record, paths } = container
  const { runtime, runtimeRoot, id } = record
  const words = ['-c', PAUSE_UNTIL_END_OF_INPUT, 'sh', runtime, runtimeRoot, id]
  // Out of reach of Ctrl-C, and of whoever kills the group of this process.
  const shell = spawn('/bin/sh', words, { detached: true, env: runtimeEnvironment() })
  let said = ''
  shell.stderr.on('data', (piece) => {
    said += String(piece)
  })
  shell.stdin.on('error', () => undefined) // it ended before it was told to, and says why
  const ended = once(shell, 'close').then(([code]) => {
    if (code !== 0) throw new DrayError('RUN_FAILED', `${runtime}: ${said.trim()}`)
  })
  await Promise.race([once(shell.stdout, 'data'), ended])
  recordEvent(rootOf(paths), record, 'pause')
  return async () => {
    shell.stdin.end()
    await ended
    recordEvent(rootOf(paths), record, 'unpause')
  }
}

/** Lets the processes of a container go on. @throws CONTAINER_STATE unless it is paused */
export async function resumeContainer(container: Container): Promise<void> {
  requireRunning(container)
  if (readState(container).status !== 'paused') throw wrongState(container, 'not paused')
  await call(container, resumeArguments)
  recordEvent(rootOf(container.paths), container.record, 'unpause')
}

async function call(
  { record }: Container,
  argumentsOf: (runtimeRoot: string, id: string) => string[],
): Promise<void> {
  try {
    await run(record.runtime, argumentsOf(record.runtimeRoot, record.id))
  } catch (error) {
    throw new DrayError('RUN_FAILED', `${record.runtime}: ${runtimeMessage(error)}`, {
      cause: error,
    })
  }
}

function wrongState({ record }: Container, what: string): DrayError {
  return new DrayError('CONTAINER_STATE', `container ${record.name} is ${what}`)
}
