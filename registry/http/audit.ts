import type { Logger } from 'pino'
import { type ErrorCode, isDrayError } from '#oci/error.ts'
import { nameOf } from '../auth/identity.ts'
import type { Observer, RefusalReason } from '../metrics/observer.ts'
import type { Requirement } from './access.ts'
import { type Context, pathPart } from './context.ts'
import { accessOf } from './guard.ts'
import { peerOf } from './peer.ts'

/** Writes one line for each change that others can see, and for each request that was refused. */
export interface Audit {
  done(ctx: Context, requirement: Requirement): void
  refused(ctx: Context, requirement: Requirement, error: unknown): void
}

/** Longer than any name that a registry takes. */
const MOST_LOGGED = 300

/** Audit lines are written whatever the level of the log is, unless it is silent altogether. */
export function createAudit(
  logger: Logger,
  observer: Pick<Observer, 'requestRefused'> | undefined,
): Audit {
  const log = logger.level === 'silent' ? logger : logger.child({}, { level: 'info' })
  return {
    done(ctx, requirement) {
      const isChange = ctx.status === 201 || requirement === 'delete'
      if (isChange) log.info({ audit: 'change', ...factsOf(ctx, requirement) }, 'audit')
    },
    refused(ctx, requirement, error) {
      if (!isDrayError(error, 'UNAUTHORIZED', 'DENIED', 'TOOMANYREQUESTS', 'QUOTA_EXCEEDED')) return
      // Every client begins by asking whether it must log in.
      if (requirement === 'user' && ctx.get('Authorization') === '') return
      const { code, cause } = error
      observer?.requestRefused(
        reasonOf(code, requirement === 'open' || ctx.get('Authorization') !== ''),
      )
      log.info(
        { audit: 'refused', code, tried: userOf(cause), ...factsOf(ctx, requirement) },
        'audit',
      )
    },
  }
}

function factsOf(ctx: Context, requirement: Requirement): object {
  return {
    who: nameOf(accessOf(ctx).identity),
    from: peerOf(ctx).address,
    action: requirement,
    method: ctx.method,
    requestId: ctx.state.requestId,
    repository: ctx.captures?.[0]?.slice(0, MOST_LOGGED),
    reference: ctx.captures?.[1] === undefined ? undefined : pathPart(ctx, 1).slice(0, MOST_LOGGED),
    digest: ctx.response.get('Docker-Content-Digest') || undefined,
    tags: ctx.response.get('OCI-Tag') || undefined,
  }
}

function userOf(cause: unknown): unknown {
  return typeof cause === 'object' && cause !== null && 'user' in cause ? cause.user : undefined
}

function reasonOf(code: ErrorCode, hasCredentials: boolean): RefusalReason {
  if (code === 'DENIED') return 'denied'
  if (code !== 'UNAUTHORIZED') return 'limit'
  return hasCredentials ? 'credentials' : 'anonymous'
}
