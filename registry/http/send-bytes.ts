import type { ServerResponse } from 'node:http'
import type { ByteSource } from '../storage/blob-driver.ts'
import type { Context } from './context.ts'

/**
 * Sends the body of an answer whose head is set, chunk by chunk: the next one is asked for when the one before has
 * left, so that the source may use its memory again. A source that fails ends the connection, since there is no other
 * way to tell the client; a client that goes away ends the source. Never throws.
 */
export async function sendBytes(
  ctx: Context,
  source: ByteSource,
  stallTimeoutMs: number,
): Promise<void> {
  const { res } = ctx
  ctx.respond = false
  // A client has to take its answer; Node sets another time-out when it has.
  ctx.req.socket.setTimeout(stallTimeoutMs)
  try {
    await writeChunks(res, source)
    res.end()
  } catch (error) {
    res.destroy()
    ctx.app.emit('error', error, ctx)
  }
}

async function writeChunks(response: ServerResponse, source: ByteSource): Promise<void> {
  // What waits to be written when the connection is lost is never called back.
  let goOn = () => {}
  response.once('close', () => goOn())
  for await (const chunk of source) {
    if (response.destroyed) return
    await new Promise<void>((resolve) => {
      goOn = resolve
      response.write(chunk, () => resolve())
    })
  }
}
