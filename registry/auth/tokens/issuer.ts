import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { claimOf, type Rules } from '../rules.ts'
import type { Claims, Identity } from '../identity.ts'
import type { KeyRing } from './keys.ts'
import { formatAccess, type Grants } from './scopes.ts'

/** Names under which the registry issues tokens, and how long they last. */
export interface TokenTerms {
  readonly issuer: string
  readonly service: string
  readonly lifetimeMs: number
  readonly refreshLifetimeMs: number
}

/** Types of tokens, so that none can pass for another (RFC 8725, section 3.11). */
export const ACCESS_TYPE = 'at+jwt'
export const REFRESH_TYPE = 'dray-refresh+jwt'

export interface IssuedToken {
  readonly token: string
  readonly issuedAt: Date
  readonly expiresInSeconds: number
}

/** Issues tokens of the registry itself (distribution, "Docker Registry v2 Bearer token specification"). */
export interface TokenIssuer {
  /** A short-lived token for what was granted. */
  access(identity: Identity, grants: Grants): Promise<IssuedToken>
  /** A token by which a user gets others, for as long as the password of `fingerprint` is theirs. */
  refresh(user: string, fingerprint: string): Promise<string>
}

/** `rules` say which claims of an identity must go on into its tokens. */
export function createTokenIssuer(keys: KeyRing, terms: TokenTerms, rules: Rules): TokenIssuer {
  const { issuer, service, lifetimeMs, refreshLifetimeMs } = terms

  async function sign(type: string, lifetimeMs: number, claims: object, subject: string) {
    const { kid, alg, privateKey } = await keys.current()
    const issuedAt = new Date(Math.floor(Date.now() / 1000) * 1000)
    const token = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg, kid, typ: type })
      .setIssuer(issuer)
      .setAudience(service)
      .setSubject(subject)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(new Date(issuedAt.getTime() + lifetimeMs))
      .sign(privateKey)
    return { token, issuedAt, expiresInSeconds: Math.floor(lifetimeMs / 1000) }
  }

  return {
    access({ name = '', groups, issuer, claims }, grants) {
      const known = { groups, issuer, claims: knownClaims(rules, issuer, claims) }
      return sign(ACCESS_TYPE, lifetimeMs, { access: formatAccess(grants), dray: known }, name)
    },
    async refresh(user, fingerprint) {
      return (await sign(REFRESH_TYPE, refreshLifetimeMs, { fingerprint }, user)).token
    },
  }
}

/** Those that a rule looks at: tokens go with every request. */
function knownClaims(
  { claims: wanted }: Rules,
  issuer: string | undefined,
  claims: Claims | undefined,
): Claims | undefined {
  if (issuer === undefined || claims === undefined) return undefined
  const roots = [...(wanted.get(issuer) ?? [])].map((name) =>
    name.startsWith('/') ? (name.slice(1).split('/')[0] ?? '') : name,
  )
  return Object.fromEntries(
    roots
      .filter((root) => Object.hasOwn(claims, root))
      .map((root) => [root, claimOf(claims, root)]),
  )
}
