import Router from '@koa/router'
import Koa from 'koa'
import type { Logger } from 'pino'
import { DrayError } from '#oci/error.ts'
import type { Observer } from '../metrics/observer.ts'
import type { Readiness } from '../readiness.ts'
import type { Services } from '../services/services.ts'
import type { Authority } from '../auth/authority.ts'
import type { AddressSet } from '../net/addresses.ts'
import { findPeers } from './peer.ts'
import { guardRoutes } from './access.ts'
import { createAudit } from './audit.ts'
import { errorAnswers } from './errors.ts'
import { healthAnswers } from './health.ts'
import { observeRequests } from './observed.ts'
import { createRateLimits, type RateLimitOptions } from './rate-limits.ts'
import { refuseChanges } from './read-only.ts'
import { createGuard } from './guard.ts'
import { addBlobRoutes } from './routes/blobs.ts'
import { addDiscoveryRoutes } from './routes/discovery.ts'
import { addManifestRoutes } from './routes/manifests.ts'
import { addTokenRoutes } from './routes/token.ts'
import { addUploadRoutes } from './routes/uploads.ts'
import { formatWarning } from './warnings.ts'

export interface AppOptions {
  readonly logger: Logger
  /** Counts requests. Default: nobody does. */
  readonly observer?: Observer | undefined
  readonly readiness: Readiness
  readonly authority: Authority
  /** Whose word on clients is taken. */
  readonly isTrustedProxy: AddressSet
  /** A connection on which nothing moves for so long is closed. */
  readonly stallTimeoutMs: number
  /** Whether only requests that change nothing are answered. */
  readonly readOnly: boolean
  readonly limits: RequestLimits
  /** Told to clients with every answer. */
  readonly warnings: readonly string[]
}

/** What clients may send. */
export interface RequestLimits extends RateLimitOptions {
  readonly manifestBytes: number
}

/** The HTTP face of a registry (distribution-spec, "API"). */
export function createApp(services: Services, options: AppOptions): Koa {
  const { logger, observer, authority, isTrustedProxy, readiness } = options
  const { stallTimeoutMs, readOnly, warnings, limits } = options
  const app = new Koa()
  // A stream that breaks after its answer has begun ends the connection, and there is nobody left to tell.
  app.on('error', (err: unknown) => logger.warn({ err }, 'answer cut off'))
  app.use(healthAnswers(readiness))
  app.use(findPeers(isTrustedProxy))
  app.use(observeRequests({ logger, observer }))
  app.use(async (ctx, next) => {
    ctx.set('Docker-Distribution-Api-Version', 'registry/2.0')
    if (warnings.length > 0) ctx.set('Warning', warnings.map(formatWarning))
    await next()
  })
  app.use(errorAnswers(logger, stallTimeoutMs))
  if (readOnly) app.use(refuseChanges)
  const router = new Router()
  const routes = guardRoutes(
    router,
    createGuard({
      authority,
      audit: createAudit(logger, observer),
      rateLimits: createRateLimits(limits),
    }),
  )
  addDiscoveryRoutes(routes, services)
  addManifestRoutes(routes, services, { stallTimeoutMs, manifestBytes: limits.manifestBytes })
  addUploadRoutes(routes, services, stallTimeoutMs)
  addBlobRoutes(routes, services, stallTimeoutMs)
  addTokenRoutes(routes, authority, stallTimeoutMs)
  app.use(router.routes())
  app.use((ctx) => {
    const methods = (ctx.matched ?? []).flatMap((layer: { methods: string[] }) => layer.methods)
    if (methods.length === 0) throw new DrayError('ROUTE_UNKNOWN', `no such endpoint: ${ctx.path}`)
    ctx.set('Allow', [...new Set(methods)].join(', '))
    throw new DrayError('UNSUPPORTED', `${ctx.method} is not supported here`)
  })
  return app
}
