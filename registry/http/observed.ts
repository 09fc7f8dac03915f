import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { RouterContext } from '@koa/router'
import type { Context, Middleware } from 'koa'
import type { Logger } from 'pino'
import type { Observer } from '../metrics/observer.ts'
import { nameOf } from '../auth/identity.ts'
import { accessOf } from './guard.ts'
import { peerOf } from './peer.ts'
import { PATHS } from './paths.ts'

export interface ObservedOptions {
  readonly logger: Logger
  readonly observer: Observer | undefined
}

/** What is taken of an id that a proxy has given to a request. */
const REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/

/** A line of the log stays far below what a pipe takes at once. */
const MOST_LOGGED = 512

/**
 * Gives each request an id, and writes one line about it and counts it when its answer has gone out or its connection
 * is gone. Queries and headers may hold secrets: they are not logged.
 */
export function observeRequests({ logger, observer }: ObservedOptions): Middleware {
  const meter = createMeter()
  return async (ctx, next) => {
    const started = performance.now()
    const given = ctx.get('X-Request-Id')
    const requestId = REQUEST_ID.test(given) ? given : randomUUID()
    ctx.state.requestId = requestId
    ctx.set('X-Request-Id', requestId)
    observer?.requestBegan()
    ctx.res.once('close', () => {
      const ms = performance.now() - started
      const { method, status } = ctx
      const moved = meter(ctx.req.socket)
      const { route, ...subject } = subjectOf(ctx)
      observer?.requestEnded({ method, route, status, seconds: ms / 1000, ...moved })
      logger.info(
        {
          ...{ requestId, method, path: cut(ctx.path), route, status, ms: Math.round(ms) },
          ...{ bytes: moved.sent, received: moved.received, ...subject },
          ...(ctx.res.writableFinished ? {} : { aborted: true }),
        },
        'request',
      )
    })
    await next()
  }
}

function subjectOf(ctx: Context) {
  const [route, path] = Object.entries(PATHS).findLast(([, path]) => path.test(ctx.path)) ?? []
  return {
    route: route ?? 'other',
    repository: cut(path?.exec(ctx.path)?.[1]),
    digest: ctx.response.get('Docker-Content-Digest') || undefined,
    user: cut(nameOf(accessOf(ctx as RouterContext).identity)),
    remote: peerOf(ctx).address,
    userAgent: cut(ctx.get('User-Agent')) || undefined,
  }
}

function cut<T extends string | undefined>(text: T): T | string {
  return text !== undefined && text.length > MOST_LOGGED ? `${text.slice(0, MOST_LOGGED)}...` : text
}

/** Counts what has moved over a connection since it was asked before, which was at the end of the last request. */
function createMeter(): (socket: Socket) => { readonly received: number; readonly sent: number } {
  const before = new WeakMap<Socket, { readonly received: number; readonly sent: number }>()
  return (socket) => {
    const now = { received: socket.bytesRead, sent: socket.bytesWritten }
    const { received, sent } = before.get(socket) ?? { received: 0, sent: 0 }
    before.set(socket, now)
    return { received: now.received - received, sent: now.sent - sent }
  }
}
