import { Writable } from 'node:stream'
import { DrayError } from '#oci/error.ts'
import type { Container } from '#runner/containers/state.ts'
import type { AttachStreams } from '#runner/verbs/attach.ts'
import type { ForegroundEnd } from '#runner/verbs/foreground.ts'
import { say } from './output/print.ts'

interface ForegroundOptions {
  readonly interactive?: boolean
  readonly detachKeys?: string
  /** The streams to be connected to; none for all of them. */
  readonly streams?: readonly string[]
}

/**
 * What {@link lookOn} needs, to be asked for before there is a container that it would leave behind.
 *
 * @throws USAGE
 */
export async function checkForeground(options: ForegroundOptions, hasTerminal: boolean) {
  const { parseDetachKeys, DEFAULT_DETACH_KEYS } = await import('#runner/monitor/detach-keys.ts')
  const isTerminal = hasTerminal && options.interactive === true
  if (isTerminal && !(process.stdin.isTTY && process.stdout.isTTY)) {
    throw new DrayError(
      'USAGE',
      'the container has a terminal (-t), but standard input and output are none',
    )
  }
  return { isTerminal, detachKeys: parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS) }
}

/** Connects a container with this process's standard streams, and ends as the container does. */
export async function lookOn(
  container: Container,
  options: ForegroundOptions,
  work: (streams: AttachStreams) => Promise<ForegroundEnd>,
): Promise<void> {
  const hasTerminal = container.record.options.tty === true
  const { isTerminal, detachKeys } = await checkForeground(options, hasTerminal)
  const { stdin, stdout, stderr } = process
  const { streams = [] } = options
  const isAttached = (name: string) => streams.length === 0 || streams.includes(name)
  const { exitCode, isDetached } = await work({
    input: options.interactive && isAttached('stdin') ? stdin : undefined,
    output: isAttached('stdout') ? stdout : nowhere(),
    errors: isAttached('stderr') ? stderr : nowhere(),
    terminal: isTerminal ? { input: stdin, output: stdout } : undefined,
    detachKeys,
  })
  if (isDetached) return
  if (exitCode === undefined) {
    const isTimed = container.record.options.timeout !== undefined
    say(`dray: ${isTimed ? 'its time was up, or ' : ''}nobody saw how the container ended`)
  }
  process.exitCode = exitCode ?? UNKNOWN_EXIT
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

/** What a shell gives for a number out of range: an exit that nobody saw is no success. */
const UNKNOWN_EXIT = 255
