import type { AuthConfig } from './config.ts'

export const BASIC_CHALLENGE = 'Basic realm="Dray registry", charset="UTF-8"'

/** What a client is told that has to log in. */
export interface Challenge {
  /** Where clients get tokens, unless the configuration says. */
  readonly tokenUrl: string
  /** What the request would have needed, as scopes parted by spaces. */
  readonly scope?: string | undefined
  /** What is wrong with the token that came (RFC 6750, section 3.1). */
  readonly error?: 'invalid_token' | 'insufficient_scope' | undefined
}

type Config = Pick<AuthConfig, 'challenge' | 'token' | 'tokenServer'>

/** The header `WWW-Authenticate` (RFC 9110, section 11.6.1; distribution, "Token Authentication Specification"). */
export function formatChallenge(config: Config | undefined, asked: Challenge): string {
  if (config === undefined || config.challenge === 'basic') return BASIC_CHALLENGE
  const { tokenUrl, scope, error } = asked
  const { realm = tokenUrl, service } = config.tokenServer ?? config.token
  const parameters = { realm, service, scope, error }
  return `Bearer ${Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}`
}
