import type { Middleware } from 'koa'
import { DrayError } from '#oci/error.ts'
import { PATHS } from './paths.ts'

const READING: readonly string[] = ['GET', 'HEAD']

/** Refuses every request that could change something, before its body is read. */
export const refuseChanges: Middleware = async (ctx, next) => {
  // Tokens are issued by POST, too, and change nothing.
  if (READING.includes(ctx.method) || PATHS.token.test(ctx.path)) return next()
  ctx.set('Allow', READING.join(', '))
  throw new DrayError('READ_ONLY', 'the registry is read-only: nothing can be pushed or deleted')
}
