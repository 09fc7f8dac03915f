import { decodeJwt, errors } from 'jose'
import { LRUCache } from 'lru-cache'
import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import type { Subject } from '../subject.ts'

/** What a token turned out to say. */
export interface VerifiedToken {
  readonly subject: Subject
  /** In seconds since 1970. */
  readonly expires: number
}

/** Checks the tokens of one issuer. Whatever it throws refuses the token. */
export type VerifyToken = (token: string) => Promise<VerifiedToken>

/** Longest token that is looked at. Node takes no longer header by default. */
export const TOKEN_LIMIT = 16 * 1024
// RFC 7515, section 7.1; readers differ in what else they take.
const JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/
const REMEMBERED = 10_000
const REMEMBERED_BYTES = 32 * 1024 * 1024

/**
 * Checks tokens by the issuer that they name, each of which has keys of its own. Tokens that were right are remembered
 * until they expire, within bounds; of those that were wrong nothing is kept.
 *
 * @throws UNAUTHORIZED
 */
export function createTokenCheck(
  issuers: ReadonlyMap<string, VerifyToken>,
): (token: string) => Promise<Subject> {
  const known = new LRUCache<string, VerifiedToken>({
    max: REMEMBERED,
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: (_, token) => 2 * token.length,
  })
  return async (token) => {
    const found = known.get(token)
    if (found !== undefined && found.expires * 1000 > Date.now()) return found.subject
    known.delete(token)
    const fresh = await refusing(token, () => {
      const { iss } = decodeJwt(token)
      const verify = issuers.get(iss ?? '')
      if (verify === undefined) throw new Error('it comes from an unknown issuer')
      return verify(token)
    })
    known.set(token, fresh)
    return fresh.subject
  }
}

/** Runs a check of a token. @throws UNAUTHORIZED for whatever the check throws, but for failures of what it needs */
export async function refusing<T>(token: string, check: () => T | Promise<T>): Promise<T> {
  if (token.length > TOKEN_LIMIT) throw invalidToken('it is too long')
  if (!isSignedText(token)) throw invalidToken('it is not signed text in three parts')
  try {
    return await check()
  } catch (error) {
    if (isDrayError(error, 'STORAGE_FAILED', 'ISSUER_UNREACHABLE')) throw error
    if (error instanceof errors.JWTExpired) throw invalidToken('it has expired: get a new one')
    throw invalidToken(errorMessage(error))
  }
}

/** Whether a text has the form of a token. */
export function isSignedText(text: string): boolean {
  return JWS.test(text)
}

function invalidToken(why: string): DrayError {
  return new DrayError('UNAUTHORIZED', `invalid token: ${why.slice(0, 200)}`)
}
