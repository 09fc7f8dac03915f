import { closeSync, openSync, read, write } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { errnoOf } from '#oci/errno.ts'
import { DrayError } from '#oci/error.ts'
import { connectPackets, O_PATH, shutdownSocket } from '../sys.ts'

/** A piece of what a container says. */
export interface Piece {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Buffer
}

/** A connection to the standard streams of a container that a monitor has. */
export interface Session {
  /** What the container says from now on, until it ends or the session is closed. */
  output(): AsyncGenerator<Piece>
  /** Hands bytes to its standard input. */
  send(data: Buffer): Promise<void>
  /** Tells it that no more will come. */
  endInput(): void
  close(): void
}

const readPacket = promisify(read)
const writePacket = promisify(write)

const PACKET_LIMIT = 64 * 1024
/** conmon reads as much at once, and loses the rest of a larger packet. */
const INPUT_LIMIT = 8 * 1024
const STDERR = 3

/** @throws CONTAINER_STATE when no monitor listens (any more) */
export function openSession(dir: string): Session {
  const fd = connect(dir)
  let isClosed = false
  const sending = new Set<Promise<unknown>>()
  return {
    async *output() {
      try {
        for (;;) {
          const { bytesRead, buffer } = await readPacket(
            fd,
            Buffer.alloc(PACKET_LIMIT),
            0,
            PACKET_LIMIT,
            null,
          )
          if (bytesRead === 0) return
          const stream = buffer[0] === STDERR ? 'stderr' : 'stdout'
          if (bytesRead > 1) yield { stream, data: buffer.subarray(1, bytesRead) }
        }
      } catch (error) {
        if (errnoOf(error) !== 'ECONNRESET') throw error
      } finally {
        isClosed = true
        // A thread that has yet to write would write to whatever gets the number next.
        await Promise.allSettled(sending)
        closeSync(fd)
      }
    },
    async send(data) {
      for (let at = 0; at < data.length; at += INPUT_LIMIT) {
        if (isClosed) return
        const part = data.subarray(at, at + INPUT_LIMIT)
        const sent = writePacket(fd, part, 0, part.length, null)
        sending.add(sent)
        await sent.finally(() => sending.delete(sent))
      }
    },
    endInput() {
      if (!isClosed) shutdownSocket(fd, 'write')
    },
    // The reader, which waits in a thread, wakes up and closes the descriptor.
    close() {
      if (!isClosed) shutdownSocket(fd, 'both')
    },
  }
}

/** Tells a container's terminal how large it is. */
export async function resizeTerminal(dir: string, rows: number, columns: number): Promise<void> {
  await writeFile(join(dir, 'ctl'), `1 ${rows} ${columns}\n`, { flag: 'r+' }).catch(() => undefined)
}

/** Through a descriptor of the directory, since the path of a socket must be short. */
function connect(path: string): number {
  const dir = openSync(path, O_PATH)
  try {
    return connectPackets(`/proc/self/fd/${dir}/attach`)
  } catch (error) {
    const message = 'its monitor does not answer: it has ended, or was killed'
    throw new DrayError('CONTAINER_STATE', message, { cause: error })
  } finally {
    closeSync(dir)
  }
}
