import { DrayError, isDrayError } from '#oci/error.ts'
import { isRepositoryName, type RepositoryName } from '#oci/reference.ts'
import type { Authority, Presented } from '../auth/authority.ts'
import { BASIC_CHALLENGE, type Challenge } from '../auth/challenge.ts'
import { certificateIdentity } from '../auth/certificate.ts'
import { ANONYMOUS, type Identity } from '../auth/identity.ts'
import type { Action } from '../auth/rules.ts'
import type { Subject } from '../auth/subject.ts'
import { networkOf } from '../net/addresses.ts'
import type { Handler, Requirement } from './access.ts'
import type { Audit } from './audit.ts'
import { type Context, repositoryOf } from './context.ts'
import { peerOf } from './peer.ts'
import type { RateLimits } from './rate-limits.ts'
import { publicUrl } from './public-url.ts'

/** Lets a request reach its route if it may. @throws UNAUTHORIZED, DENIED, TOOMANYREQUESTS */
export type Guard = (ctx: Context, requirement: Requirement, handler: Handler) => Promise<void>

/** What whoever makes a request may do, for routes that touch more than the one thing in their path. */
export interface Access {
  readonly identity: Identity
  may(action: Action, repository: RepositoryName): boolean
}

type Guarded = Exclude<Requirement, 'open'>

const ACCESS = 'access'
const NOBODY: Access = { identity: ANONYMOUS, may: () => false }

/** Of a request that the guard has let in. */
export function accessOf(ctx: Context): Access {
  return ctx.state[ACCESS] ?? NOBODY
}

/** What a request shows of who makes it. */
export function presentedBy(ctx: Context): Presented {
  return {
    authorization: ctx.get('Authorization'),
    address: peerOf(ctx).address,
    certificate: certificateIdentity(ctx.req.socket),
  }
}

export interface GuardParts {
  readonly authority: Authority
  readonly audit: Audit
  readonly rateLimits: RateLimits
}

export function createGuard({ authority, audit, rateLimits }: GuardParts): Guard {
  return async (ctx, requirement, handler) => {
    try {
      if (requirement !== 'open') {
        await admit(authority, ctx, requirement).catch((error) => {
          // Those who are refused have had their request, too.
          rateLimits(accountOf(ctx))()
          throw error
        })
      }
      const finish = rateLimits(accountOf(ctx))
      ctx.res.once('close', finish)
      await handler(ctx)
    } catch (error) {
      if (requirement === 'open' && isDrayError(error, 'UNAUTHORIZED')) {
        ctx.set('WWW-Authenticate', BASIC_CHALLENGE)
      }
      audit.refused(ctx, requirement, error)
      throw error
    }
    audit.done(ctx, requirement)
  }
}

/** Users are counted for themselves, wherever they are, and others by their address. */
function accountOf(ctx: Context): string {
  const { name } = accessOf(ctx).identity
  return name === undefined ? `address ${networkOf(peerOf(ctx).address)}` : `user ${name}`
}

async function admit(authority: Authority, ctx: Context, requirement: Guarded): Promise<void> {
  const subject = await identify(authority, ctx, requirement)
  const { identity } = subject
  ctx.state[ACCESS] = {
    identity,
    may: (action, repository) => authority.decide(subject, action, repository).isAllowed,
  } satisfies Access
  if (!authority.isClosed) return
  const refuse = (why: string, error?: Challenge['error']) =>
    unauthorized(authority, ctx, requirement, { why, error })
  const isAnonymous = identity.name === undefined
  if (requirement === 'user') {
    // Docker sends credentials only to registries that ask for them here, whatever they let anybody pull.
    if (isAnonymous && subject.grants === undefined) throw refuse('log in first')
  } else if (requirement === 'catalog') {
    if (authority.mayList(subject)) return
    if (isAnonymous) throw refuse('log in to list repositories')
    if (subject.grants !== undefined) {
      throw refuse('the token was not issued to list repositories', 'insufficient_scope')
    }
  } else {
    const decision = authority.decide(subject, requirement, repositoryOf(ctx))
    if (decision.isAllowed) return
    if (decision.needsScope) throw refuse(decision.why, 'insufficient_scope')
    if (isAnonymous) throw refuse(`${decision.why}: log in`)
    throw new DrayError('DENIED', decision.why)
  }
}

async function identify(
  authority: Authority,
  ctx: Context,
  requirement: Guarded,
): Promise<Subject> {
  try {
    return await authority.identify(presentedBy(ctx))
  } catch (error) {
    if (!isDrayError(error, 'UNAUTHORIZED')) throw error
    const { message: why, cause } = error
    const isBearer = /^bearer /i.test(ctx.get('Authorization'))
    const challenge = isBearer ? 'invalid_token' : undefined
    throw unauthorized(authority, ctx, requirement, { why, cause, error: challenge })
  }
}

interface Refusal {
  readonly why: string
  readonly cause?: unknown
  readonly error?: Challenge['error']
}

function unauthorized(
  authority: Authority,
  ctx: Context,
  requirement: Guarded,
  { why, cause, error }: Refusal,
): DrayError {
  const scope = scopeOf(ctx, requirement)
  const challenge = authority.challenge({ tokenUrl: `${publicUrl(ctx)}/token`, scope, error })
  ctx.set('WWW-Authenticate', challenge)
  return new DrayError('UNAUTHORIZED', why, { cause })
}

/** The scopes with which a token would let the request through. */
function scopeOf(ctx: Context, requirement: Guarded): string | undefined {
  if (requirement === 'user') return undefined
  if (requirement === 'catalog') return 'registry:catalog:*'
  const actions = requirement === 'push' ? 'pull,push' : requirement
  const scope = `repository:${repositoryOf(ctx)}:${actions}`
  const { from } = ctx.query
  const isMount = typeof from === 'string' && isRepositoryName(from)
  return isMount ? `${scope} repository:${from}:pull` : scope
}
