import { DrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { Authority } from '../auth/authority.ts'
import { ANONYMOUS, type Identity } from '../auth/identity.ts'
import type { Action } from '../auth/rules.ts'
import type { Handler, Requirement } from './access.ts'
import type { Audit } from './audit.ts'
import { type Context, repositoryOf } from './context.ts'

/** Lets a request reach its route if it may. @throws UNAUTHORIZED, DENIED, TOOMANYREQUESTS */
export type Guard = (ctx: Context, requirement: Requirement, handler: Handler) => Promise<void>

/** What whoever makes a request may do, for routes that touch more than the one thing in their path. */
export interface Access {
  readonly identity: Identity
  may(action: Action, repository: RepositoryName): boolean
}

type Guarded = Exclude<Requirement, 'open'>

const ACCESS = 'access'

/** Of a request that the guard has let in. */
export function accessOf(ctx: Context): Access {
  return ctx.state[ACCESS] ?? NOBODY
}

const NOBODY: Access = { identity: ANONYMOUS, may: () => false }

export function createGuard(authority: Authority, audit: Audit): Guard {
  return async (ctx, requirement, handler) => {
    if (requirement !== 'open') {
      try {
        await admit(authority, ctx, requirement)
      } catch (error) {
        audit.refused(ctx, requirement, error)
        throw error
      }
    }
    try {
      await handler(ctx)
    } catch (error) {
      audit.refused(ctx, requirement, error)
      throw error
    }
    audit.done(ctx, requirement)
  }
}

async function admit(authority: Authority, ctx: Context, requirement: Guarded): Promise<void> {
  const identity = await identify(authority, ctx)
  ctx.state[ACCESS] = {
    identity,
    may: (action, repository) => authority.decide(identity, action, repository).isAllowed,
  } satisfies Access
  if (!authority.isClosed) return
  const isAnonymous = identity.name === undefined
  if (requirement === 'user') {
    // Docker sends credentials only to registries that ask for them here, whatever they let anybody pull.
    if (isAnonymous) throw unauthorized(authority, ctx, 'log in first')
  } else if (requirement === 'catalog') {
    if (isAnonymous && !authority.mayAnywhere(identity, 'list')) {
      throw unauthorized(authority, ctx, 'log in to list repositories')
    }
  } else {
    const { isAllowed, why } = authority.decide(identity, requirement, repositoryOf(ctx))
    if (isAllowed) return
    if (isAnonymous) throw unauthorized(authority, ctx, `${why}: log in`)
    throw new DrayError('DENIED', why)
  }
}

async function identify(authority: Authority, ctx: Context): Promise<Identity> {
  try {
    return await authority.identify({ authorization: ctx.get('Authorization'), address: ctx.ip })
  } catch (error) {
    if (error instanceof DrayError && error.code === 'UNAUTHORIZED') {
      throw unauthorized(authority, ctx, error.message)
    }
    throw error
  }
}

function unauthorized(authority: Authority, ctx: Context, why: string): DrayError {
  ctx.set('WWW-Authenticate', authority.challenge())
  return new DrayError('UNAUTHORIZED', why)
}
