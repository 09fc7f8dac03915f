import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import * as z from 'zod'
import { DrayError } from '#oci/error.ts'
import { check } from '#oci/schema.ts'
import { fetchJson } from './fetch-json.ts'

export interface RemoteKeysOptions {
  /** Whose keys they are: discovered below this address, in a document that must name it (OpenID Connect Discovery). */
  readonly issuer: string
  /** Where they are, without discovery. */
  readonly jwksUrl?: string | undefined
  readonly now?: () => number
}

type KeySet = ReturnType<typeof createLocalJWKSet>

const MAX_AGE_MS = 10 * 60_000
/** Tokens that name unknown keys make nobody ask more often. */
const LOOK_AGAIN_MS = 30_000

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() })
const jwksSchema = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })).max(100),
})

/**
 * Keys of an issuer elsewhere, read when they are needed, again after some minutes, and sooner for a key that isn't
 * known. While the issuer doesn't answer the keys that were read before stay.
 */
export function createRemoteKeys(options: RemoteKeysOptions): JWTVerifyGetKey {
  const { now = Date.now } = options
  let keys: KeySet | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let loading: Promise<void> | undefined

  async function load(): Promise<void> {
    triedAt = now()
    try {
      const set = check(
        jwksSchema,
        await fetchJson(await locate(options)),
        'JWKS',
        'ISSUER_UNREACHABLE',
      )
      keys = createLocalJWKSet(set as JSONWebKeySet)
    } catch (error) {
      if (keys === undefined) {
        triedAt = Number.NEGATIVE_INFINITY
        // Where they are, and why not, is for the log: not for whoever shows a token.
        const why = 'the keys of the issuer of the token cannot be read: try again later'
        throw new DrayError('ISSUER_UNREACHABLE', why, { cause: error, retryable: true })
      }
    }
  }

  async function refresh(maxAgeMs: number): Promise<KeySet> {
    if (keys === undefined || now() - triedAt > maxAgeMs) {
      loading ??= load().finally(() => {
        loading = undefined
      })
      await loading
    }
    return keys as KeySet
  }

  return async (header, token) => {
    const known = await refresh(MAX_AGE_MS)
    try {
      return await known(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      return (await refresh(LOOK_AGAIN_MS))(header, token)
    }
  }
}

async function locate({ issuer, jwksUrl }: RemoteKeysOptions): Promise<string> {
  if (jwksUrl !== undefined) return jwksUrl
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const found = check(discoverySchema, await fetchJson(url), url, 'ISSUER_UNREACHABLE')
  if (found.issuer !== issuer) throw new Error('the issuer calls itself by another name')
  // Keys that came over plain HTTP would be those of whoever stands in between.
  if (issuer.startsWith('https:') && !found.jwks_uri.startsWith('https:')) {
    throw new Error('the issuer keeps its keys where everybody could change them')
  }
  return found.jwks_uri
}
