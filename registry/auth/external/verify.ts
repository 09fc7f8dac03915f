import { type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as z from 'zod'
import { isRepositoryName, type RepositoryName } from '#oci/reference.ts'
import { check } from '#oci/schema.ts'
import { claimOf } from '../rules.ts'
import { type Grants, SCOPE_ACTIONS, type ScopeAction } from '../tokens/scopes.ts'
import type { VerifyToken } from '../tokens/verified-tokens.ts'
import { accessItem, CLOCK_TOLERANCE_S } from '../tokens/verifier.ts'
import type { IssuerConfig, TokenServerConfig } from './config.ts'
import { readPublicKeys } from './key-file.ts'
import { createRemoteKeys } from './remote-keys.ts'

const NAME_LIMIT = 1000
const nameText = z
  .string()
  .min(1)
  .max(NAME_LIMIT)
  .regex(/^[\x21-\x7e]+$/)

const claimsSchema = z.looseObject({ sub: nameText, exp: z.number() })
const grantsSchema = z.looseObject({
  sub: z.string().max(NAME_LIMIT).default(''),
  exp: z.number(),
  access: z.array(accessItem).nullish(),
})

/** Tokens of an issuer that says who somebody is. What they may do the rules say. @throws CONFIG_INVALID */
export function createIssuerCheck(config: IssuerConfig): VerifyToken {
  const { name, issuer, audience, algorithms, groupsClaim } = config
  const keys = keysOf(config)
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer, audience, algorithms },
      clockTolerance: CLOCK_TOLERANCE_S,
      requiredClaims: ['exp', 'sub'],
    })
    const { sub, exp, ...claims } = check(claimsSchema, payload, 'claims', 'UNAUTHORIZED')
    const groups = groupsClaim === undefined ? [] : [claimOf(payload, groupsClaim)].flat()
    const identity = {
      name: `${name}:${sub}`,
      groups: groups
        .filter((group) => typeof group === 'string')
        .map((group) => `${name}:${group}`),
      issuer: name,
      claims: { ...claims, sub },
    }
    return { subject: { identity }, expires: exp }
  }
}

/** Tokens of a token server, which say what somebody may do. @throws CONFIG_INVALID */
export function createTokenServerCheck(config: TokenServerConfig): VerifyToken {
  const { issuer, service: audience, algorithms } = config
  const keys = keysOf(config)
  return async (token) => {
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer, audience, algorithms },
      clockTolerance: CLOCK_TOLERANCE_S,
      requiredClaims: ['exp'],
    })
    const { sub, exp, access } = check(grantsSchema, payload, 'claims', 'UNAUTHORIZED')
    const identity = { name: sub === '' ? undefined : `token-server:${sub}`, groups: [] }
    return { subject: { identity, grants: grantsOf(access ?? []), isGranted: true }, expires: exp }
  }
}

/** What says nothing to us grants nothing. */
function grantsOf(items: readonly z.output<typeof accessItem>[]): Grants {
  const repositories = new Map<RepositoryName, Set<ScopeAction>>()
  for (const { type, name, actions } of items) {
    if (type !== 'repository' || !isRepositoryName(name)) continue
    const granted = repositories.get(name) ?? new Set()
    for (const action of SCOPE_ACTIONS) {
      if (actions.includes(action) || actions.includes('*')) granted.add(action)
    }
    repositories.set(name, granted)
  }
  const catalog = items.some(
    ({ type, name, actions }) => type === 'registry' && name === 'catalog' && actions.includes('*'),
  )
  return { repositories, catalog }
}

function keysOf(config: IssuerConfig | TokenServerConfig): JWTVerifyGetKey {
  return config.keys === undefined ? createRemoteKeys(config) : readPublicKeys(config.keys)
}
