import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { JWK } from 'jose'
import { DrayError, errorMessage } from '#oci/error.ts'
import { type KeyRing, parsePrivateJwk } from './keys.ts'

/**
 * Keys from files in PEM or as JWK. The first one signs; to rotate, put a new one first, and take the old one out when
 * its last token has expired.
 *
 * @throws CONFIG_INVALID
 */
export function readKeyRing(paths: readonly string[]): KeyRing {
  const jwks = paths.map(readKey)
  const keys = Promise.all(jwks.map(parsePrivateJwk))
  keys.catch(() => {})
  return {
    async current() {
      const [first] = await keys
      if (first === undefined) throw new DrayError('CONFIG_INVALID', 'there is no key for tokens')
      return first
    },
    find: async (kid) => (await keys).find((key) => key.kid === kid),
    all: () => keys,
  }
}

function readKey(path: string): JWK {
  try {
    const text = readFileSync(path, 'utf8')
    const input = text.trimStart().startsWith('{')
      ? { key: JSON.parse(text), format: 'jwk' as const }
      : text
    const key = createPrivateKey(input)
    const { namedCurve } = key.asymmetricKeyDetails ?? {}
    if (key.asymmetricKeyType !== 'ed25519' && namedCurve !== 'prime256v1') {
      throw new Error('it must be a private key of Ed25519 or P-256')
    }
    return key.export({ format: 'jwk' })
  } catch (cause) {
    // What the parser says may hold a part of the key.
    const why = cause instanceof SyntaxError ? 'it is neither PEM nor JSON' : errorMessage(cause)
    throw new DrayError('CONFIG_INVALID', `cannot use the key ${path}: ${why}`)
  }
}
