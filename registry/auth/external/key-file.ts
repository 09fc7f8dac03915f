import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { calculateJwkThumbprint, type JWK, type JWTVerifyGetKey } from 'jose'
import { DrayError, errorMessage } from '#oci/error.ts'

const PEM =
  /-----BEGIN (?:CERTIFICATE|PUBLIC KEY)-----[^-]+-----END (?:CERTIFICATE|PUBLIC KEY)-----/g

interface NamedKey {
  readonly key: KeyObject
  readonly names: readonly string[]
}

/**
 * Public keys from a file: a JWKS, or certificates and public keys in PEM. A token names its key by the `kid` of the
 * JWKS, by its thumbprint (RFC 7638) or by the fingerprint that libtrust makes; of one key alone no name is needed.
 *
 * @throws CONFIG_INVALID
 */
export function readPublicKeys(path: string): JWTVerifyGetKey {
  const keys = readKeys(path)
  return async ({ kid }) => {
    if (kid === undefined && keys.length === 1) return (keys[0] as NamedKey).key
    for (const { key, names } of keys) {
      if (names.includes(kid ?? '')) return key
      if ((await calculateJwkThumbprint(key.export({ format: 'jwk' }))) === kid) return key
    }
    throw new Error('it is signed with an unknown key')
  }
}

function readKeys(path: string): readonly NamedKey[] {
  try {
    const text = readFileSync(path, 'utf8')
    const keys = text.trimStart().startsWith('{') ? fromJwks(text) : fromPem(text)
    if (keys.length === 0) throw new Error('it holds no key')
    return keys
  } catch (cause) {
    const why = `cannot use the keys in ${path}: ${errorMessage(cause)}`
    throw new DrayError('CONFIG_INVALID', why, { cause })
  }
}

function fromJwks(text: string): NamedKey[] {
  const { keys } = JSON.parse(text) as { keys: JWK[] }
  return keys.map((jwk) => ({
    key: createPublicKey({ key: jwk as never, format: 'jwk' }),
    names: jwk.kid === undefined ? [] : [jwk.kid],
  }))
}

function fromPem(text: string): NamedKey[] {
  return (text.match(PEM) ?? []).map((pem) => {
    const key = createPublicKey(pem)
    return { key, names: [libtrustFingerprint(key)] }
  })
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The first 240 bits of the hash of a key, in base 32 and groups of four. */
export function libtrustFingerprint(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
  const bits = [...hash.subarray(0, 30)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const text = (bits.match(/.{5}/g) ?? []).map((five) => BASE32[Number.parseInt(five, 2)]).join('')
  return (text.match(/.{4}/g) ?? []).join(':')
}
