import {
  calculateJwkThumbprint,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose'

/** What tokens are signed with. */
export const TOKEN_ALGORITHMS = ['EdDSA', 'ES256'] as const
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number]

/** A key pair, ready to be used. */
export interface TokenKey {
  readonly kid: string
  readonly alg: TokenAlgorithm
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly publicJwk: JWK
}

/** The keys of an issuer: all replicas have the same ones. */
export interface KeyRing {
  /** The key to sign with. */
  current(): Promise<TokenKey>
  /** A key that tokens may be signed with; undefined when there is no such one. */
  find(kid: string): Promise<TokenKey | undefined>
  all(): Promise<readonly TokenKey[]>
}

/** A new private key, in the form in which it is kept. */
export async function createPrivateJwk(alg: TokenAlgorithm): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), alg }
}

/** @throws Error when it is no private key of Ed25519 or P-256 */
export async function parsePrivateJwk(jwk: JWK): Promise<TokenKey> {
  const alg = algorithmOf(jwk)
  if (alg === undefined || jwk.d === undefined) {
    throw new Error('it must be a private key of Ed25519 or P-256')
  }
  const { d: _, ...rest } = jwk
  const publicOnly = { ...rest, alg, use: 'sig' }
  const kid = await calculateJwkThumbprint(publicOnly)
  return {
    ...{ kid, alg },
    privateKey: (await importJWK(jwk, alg)) as CryptoKey,
    publicKey: (await importJWK(publicOnly, alg)) as CryptoKey,
    publicJwk: { ...publicOnly, kid },
  }
}

function algorithmOf({ kty, crv }: JWK): TokenAlgorithm | undefined {
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA'
  return kty === 'EC' && crv === 'P-256' ? 'ES256' : undefined
}
