import { createHash } from 'node:crypto'
import { DrayError } from '#oci/error.ts'
import type { Identity } from '../identity.ts'
import { userOf } from '../log-in.ts'
import { decide, hasRule } from '../rules.ts'
import type { Sources } from '../sources.ts'
import { type Grants, parseScopes } from './scopes.ts'
import { refusing } from './verified-tokens.ts'

/** What a client asks of `/token` (distribution, "Docker Registry v2 authentication using OAuth2"). */
export interface TokenRequest {
  readonly service?: string | undefined
  readonly scopes: readonly string[]
  /** Whether a token to log in with is wanted, too. */
  readonly isOffline: boolean
  /** How the client shows who it is; undefined for the headers of the request alone. */
  readonly grant?: TokenGrant | undefined
}

export type TokenGrant =
  | { readonly type: 'password'; readonly user: string; readonly password: string }
  | { readonly type: 'refresh_token'; readonly token: string }
  /** Of an issuer elsewhere (RFC 8693). */
  | { readonly type: 'exchange'; readonly token: string }

export interface TokenAnswer {
  readonly token: string
  readonly issuedAt: Date
  readonly expiresInSeconds: number
  readonly refreshToken?: string | undefined
  readonly identity: Identity
}

/** Ways to find out who asks. Both throw UNAUTHORIZED and TOOMANYREQUESTS. */
export interface Identification {
  /** By the headers of the request. */
  identify(): Promise<Identity>
  logIn(user: string, password: string): Promise<Identity>
}

/** Issues a token for what is asked as far as the rules allow it, which may be nothing. */
export async function issueToken(
  sources: Sources,
  request: TokenRequest,
  identification: Identification,
): Promise<TokenAnswer> {
  const { service } = sources.config.token
  if (request.service !== undefined && request.service !== service) {
    throw new DrayError('REQUEST_INVALID', `tokens are issued for the service ${service} alone`)
  }
  const asked = parseScopes(request.scopes)
  const identity = await identityOf(sources, request.grant, identification)
  const issued = await sources.issuer.access(identity, grantsOf(sources, identity, asked))
  const fingerprint = fingerprintOf(sources, identity.name)
  if (!request.isOffline || fingerprint === undefined) return { ...issued, identity }
  const refreshToken = await sources.issuer.refresh(identity.name ?? '', fingerprint)
  return { ...issued, identity, refreshToken }
}

async function identityOf(
  sources: Sources,
  grant: TokenGrant | undefined,
  { identify, logIn }: Identification,
): Promise<Identity> {
  if (grant === undefined) return identify()
  if (grant.type === 'password') return logIn(grant.user, grant.password)
  if (grant.type === 'exchange') return (await sources.external(grant.token)).identity
  return refusing(grant.token, async () => {
    const { user, fingerprint } = await sources.verifier.refresh(grant.token)
    if (fingerprintOf(sources, user) !== fingerprint) {
      throw new Error('the user is gone, or the password was changed: log in again')
    }
    return userOf(sources.config, user)
  })
}

/** What is asked for, as far as the rules allow it. */
function grantsOf({ rules }: Sources, identity: Identity, asked: Grants): Grants {
  const repositories = [...asked.repositories].map(([name, actions]) => {
    const allowed = [...actions].filter((action) => decide(rules, identity, action, name).isAllowed)
    return [name, new Set(allowed)] as const
  })
  return {
    repositories: new Map(repositories),
    catalog: asked.catalog && hasRule(rules, identity, 'list'),
  }
}

/** Of the password of a user of the htpasswd file; tokens to log in with end with it. */
function fingerprintOf({ passwords }: Sources, user: string | undefined): string | undefined {
  const hash = user === undefined ? undefined : passwords().get(user)
  return hash === undefined
    ? undefined
    : createHash('sha256').update(hash).digest('base64url').slice(0, 22)
}
