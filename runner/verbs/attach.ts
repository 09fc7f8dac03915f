import type { Readable, Writable } from 'node:stream'
import { once } from 'node:events'
import { DetachDetector } from '../monitor/detach-keys.ts'
import { showOutputAsIs } from '../sys.ts'
import { openSession, resizeTerminal, type Session } from '../monitor/session.ts'

/** What a container is connected to. */
export interface AttachStreams {
  /** Absent: the container's input is left alone. */
  readonly input?: Readable | undefined
  readonly output: Writable
  readonly errors: Writable
  /** The terminal of whoever looks on; its size is the container's, and what is typed goes there key by key. */
  readonly terminal?:
    | {
        readonly input: NodeJS.ReadStream & { readonly fd: number }
        readonly output: NodeJS.WriteStream
      }
    | undefined
  /** Keys that end this, and not the container. */
  readonly detachKeys: Buffer
}

/** A connection that is open: nothing that is said from now on is missed. */
export interface Attachment {
  /** Hands everything on until the container ends (true), or the keys to detach are typed (false). */
  run(): Promise<boolean>
}

/**
 * Connects to what a monitor runs, or is about to: a container, or a command beside it.
 *
 * @param dir where the monitor listens
 * @throws CONTAINER_STATE when nobody listens there
 */
export function attachTo(dir: string, streams: AttachStreams): Attachment {
  const session = openSession(dir)
  return {
    async run() {
      let isDetached = false
      const detach = () => {
        isDetached = true
        session.close()
      }
      const restore = prepareTerminal(dir, streams)
      const stopInput = handOnInput(session, streams, detach)
      try {
        await handOnOutput(session, streams)
      } finally {
        stopInput()
        restore()
      }
      return !isDetached
    },
  }
}

/** Tells what is about to begin how large the terminal is. */
export async function tellSize(dir: string, { terminal }: AttachStreams): Promise<void> {
  if (terminal === undefined) return
  await resizeTerminal(dir, terminal.output.rows, terminal.output.columns)
}

async function handOnOutput(session: Session, streams: AttachStreams): Promise<void> {
  for await (const { stream, data } of session.output()) {
    const target = stream === 'stdout' ? streams.output : streams.errors
    if (!target.write(data)) await once(target, 'drain')
  }
}

/** @returns how to stop */
function handOnInput(session: Session, streams: AttachStreams, detach: () => void): () => void {
  const { input } = streams
  if (input === undefined) return () => undefined
  const detector = new DetachDetector(
    streams.terminal === undefined ? Buffer.alloc(0) : streams.detachKeys,
  )
  let sent = Promise.resolve()
  const onData = (chunk: Buffer) => {
    const { pass, isDetach } = detector.feed(chunk)
    input.pause()
    sent = session.send(pass).catch(() => undefined) // it doesn't read: its end is seen elsewhere
    void sent.then(() => (isDetach ? detach() : input.resume()))
  }
  // Input that was there at once ends while its last bytes are on their way, paused or not.
  const onEnd = () => void sent.then(() => session.endInput())
  input.on('data', onData)
  input.once('end', onEnd)
  return () => {
    input.off('data', onData)
    input.off('end', onEnd)
    input.pause()
    if ('unref' in input && typeof input.unref === 'function') input.unref()
  }
}

/** Makes the terminal hand on every key, and tells its size. @returns how to undo it */
function prepareTerminal(dir: string, streams: AttachStreams): () => void {
  const { terminal } = streams
  if (terminal === undefined) return () => undefined
  const { input, output } = terminal
  const resize = () => void tellSize(dir, streams)
  input.setRawMode(true)
  showOutputAsIs(input.fd)
  output.on('resize', resize)
  resize()
  return () => {
    output.off('resize', resize)
    input.setRawMode(false)
  }
}
