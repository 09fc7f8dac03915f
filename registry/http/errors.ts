import type { Middleware } from 'koa'
import type { Logger } from 'pino'
import { DrayError, ERRORS, isDrayError } from '#oci/error.ts'
import { discardBody } from './body.ts'

/** Turns whatever a route throws into the answer of distribution-spec, "Error Codes". The only place that knows how. */
export function errorAnswers(logger: Logger, stallTimeoutMs: number): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (error) {
      const known = isDrayError(error)
        ? error
        : new DrayError('INTERNAL', undefined, { cause: error })
      const { status, body } = answerOf(known)
      if (status >= 500) logger.error({ err: error, requestId: ctx.state.requestId }, known.message)
      if (status === 405 && !ctx.response.get('Allow')) ctx.set('Allow', 'GET, HEAD')
      if (known.retryable) ctx.set('Retry-After', String(retryAfterOf(known)))
      ctx.status = status
      ctx.body = body
    }
    discardBody(ctx.req, stallTimeoutMs)
    // From here on the client has to take its answer; Node sets another time-out when it has.
    ctx.req.socket.setTimeout(stallTimeoutMs)
  }
}

/** Codes without a status are not answers: how they came here is our mistake, and none of the client's business. */
function answerOf(error: DrayError): { status: number; body: unknown } {
  const entry: { status?: number; wire?: string; message: string } = ERRORS[error.code]
  if (entry.status === undefined) return answerOf(new DrayError('INTERNAL'))
  const code = entry.wire ?? error.code
  const { message, detail } = error
  return { status: entry.status, body: { errors: [{ code, message, detail }] } }
}

/** Seconds until a request that may succeed later is worth making again. */
function retryAfterOf({ detail }: DrayError): number {
  if (typeof detail !== 'object' || detail === null || !('retryAfterSeconds' in detail)) return 1
  return Number(detail.retryAfterSeconds)
}
