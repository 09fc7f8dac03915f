import type { Middleware } from 'koa'
import type { Logger } from 'pino'

/** One line a request, when its answer has gone out or its connection is gone. Queries may hold secrets: not logged. */
export function accessLog(logger: Logger): Middleware {
  return async (ctx, next) => {
    const started = performance.now()
    ctx.res.once('close', () => {
      const { method, path, status } = ctx
      const ms = Math.round(performance.now() - started)
      const bytes = ctx.response.length ?? 0
      const isComplete = ctx.res.writableFinished
      logger.info(
        { method, path, status, bytes, ms, ...(isComplete ? {} : { aborted: true }) },
        'request',
      )
    })
    await next()
  }
}
