import type { Middleware } from 'koa'
import type { Readiness } from '../readiness.ts'

/**
 * `/healthz`, whether the process lives, and `/readyz`, whether it should be sent requests. They are not part of the
 * API, need no credentials, tell nothing else, and are neither logged nor counted.
 */
export function healthAnswers(readiness: Readiness): Middleware {
  return async (ctx, next) => {
    const { path } = ctx
    if (path !== '/healthz' && path !== '/readyz') return next()
    const state = path === '/healthz' ? 'alive' : await readiness.state()
    ctx.status = state === 'alive' || state === 'ready' ? 200 : 503
    ctx.set('Cache-Control', 'no-store')
    ctx.body = `${state}\n`
  }
}
