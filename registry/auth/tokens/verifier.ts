import { type JWTPayload, jwtVerify } from 'jose'
import * as z from 'zod'
import { check } from '#oci/schema.ts'
import { ACCESS_TYPE, REFRESH_TYPE, type TokenTerms } from './issuer.ts'
import { type KeyRing, TOKEN_ALGORITHMS } from './keys.ts'
import { parseAccess } from './scopes.ts'
import type { VerifyToken } from './verified-tokens.ts'

/** Checks tokens that the registry has issued. Both throw when a token is wrong, in whichever way. */
export interface TokenVerifier {
  readonly access: VerifyToken
  refresh(token: string): Promise<{ readonly user: string; readonly fingerprint: string }>
}

/** Of replicas whose clocks differ a little. */
export const CLOCK_TOLERANCE_S = 5

export const accessItem = z.object({
  type: z.string(),
  name: z.string(),
  actions: z.array(z.string()),
})
const accessSchema = z.object({
  sub: z.string(),
  exp: z.number(),
  access: z.array(accessItem),
  dray: z.object({
    groups: z.array(z.string()),
    issuer: z.string().optional(),
    claims: z.record(z.string(), z.unknown()).optional(),
  }),
})
const refreshSchema = z.object({ sub: z.string().min(1), fingerprint: z.string().min(1) })

export function createTokenVerifier(keys: KeyRing, { issuer, service }: TokenTerms): TokenVerifier {
  async function verify(token: string, typ: string): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, keyOf, {
      ...{ issuer, audience: service, typ, algorithms: [...TOKEN_ALGORITHMS] },
      clockTolerance: CLOCK_TOLERANCE_S,
      requiredClaims: ['exp', 'nbf', 'iat', 'sub', 'jti'],
    })
    return payload
  }

  /** By its name among our own keys alone: nothing that a token brings along is a key. */
  async function keyOf({ kid, alg }: { kid?: string; alg?: string }) {
    const key = kid === undefined ? undefined : await keys.find(kid)
    if (key === undefined || key.alg !== alg) throw new Error('it is signed with an unknown key')
    return key.publicKey
  }

  return {
    async access(token) {
      const payload = await verify(token, ACCESS_TYPE)
      const { sub, exp, access, dray } = check(accessSchema, payload, 'claims', 'UNAUTHORIZED')
      const identity = { ...dray, name: sub === '' ? undefined : sub }
      return { subject: { identity, grants: parseAccess(access) }, expires: exp }
    },
    async refresh(token) {
      const payload = await verify(token, REFRESH_TYPE)
      const { sub, fingerprint } = check(refreshSchema, payload, 'claims', 'UNAUTHORIZED')
      return { user: sub, fingerprint }
    },
  }
}
