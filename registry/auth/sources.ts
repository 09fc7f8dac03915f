import type { Logger } from 'pino'
import { DrayError } from '#oci/error.ts'
import type { PasswordThread } from '../password-thread.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import type { AuthConfig } from './config.ts'
import { createIssuerCheck, createTokenServerCheck } from './external/verify.ts'
import { type Passwords, readHtpasswd } from './htpasswd.ts'
import { userOf } from './log-in.ts'
import { createPasswordCheck, type PasswordCheck } from './password-check.ts'
import { parseRules, type Rules } from './rules.ts'
import type { Subject } from './subject.ts'
import { readKeyRing } from './tokens/file-keys.ts'
import { createTokenIssuer, type TokenIssuer } from './tokens/issuer.ts'
import type { KeyRing } from './tokens/keys.ts'
import { createStoredKeys } from './tokens/stored-keys.ts'
import { createTokenVerifier, type TokenVerifier } from './tokens/verifier.ts'
import { createTokenCheck } from './tokens/verified-tokens.ts'
import { watchFiles } from '../net/watched-file.ts'

/** Everything that one configuration names, ready to be asked. */
export interface Sources {
  readonly config: AuthConfig
  readonly rules: Rules
  readonly passwords: () => Passwords
  readonly isPassword: PasswordCheck
  readonly keys: KeyRing
  readonly issuer: TokenIssuer
  readonly verifier: TokenVerifier
  /** Who it is by the token of an issuer elsewhere. @throws UNAUTHORIZED */
  readonly external: (token: string) => Promise<Subject>
  /** Whose token it is, of whichever issuer. @throws UNAUTHORIZED */
  readonly bearer: (token: string) => Promise<Subject>
}

export interface SourceParts {
  readonly thread: PasswordThread
  readonly records: RecordDriver
  readonly logger: Logger
}

const NO_PASSWORDS: Passwords = new Map()

/** Reads what the configuration names. @throws CONFIG_INVALID */
export function openSources(config: AuthConfig, { thread, records, logger }: SourceParts): Sources {
  const { htpasswd, token, tokenServer } = config
  const passwords =
    htpasswd === undefined
      ? () => NO_PASSWORDS
      : watchFiles([htpasswd], () => readHtpasswd(htpasswd), { logger })
  const rules = parseRules(config.rules)
  const keys =
    token.keys.length > 0
      ? readKeyRing(token.keys)
      : createStoredKeys(records, { ...token, keepMs: token.refreshLifetimeMs })
  const verifier = createTokenVerifier(keys, token)
  const issuers = new Map(config.issuers.map((each) => [each.issuer, createIssuerCheck(each)]))
  const ours = new Map(
    tokenServer === undefined
      ? [[token.issuer, verifier.access]]
      : [[tokenServer.issuer, createTokenServerCheck(tokenServer)]],
  )
  const isToken = createTokenCheck(new Map([...issuers, ...ours]))
  return {
    ...{ config, rules, passwords, keys, verifier },
    isPassword: createPasswordCheck(passwords, thread),
    issuer: createTokenIssuer(keys, token, rules),
    external: createTokenCheck(issuers),
    async bearer(token) {
      const subject = await isToken(token)
      const { name } = subject.identity
      if (name === undefined || name.includes(':')) return subject
      // A user who is gone, or no longer in a group, needs not wait for the end of the token.
      if (!passwords().has(name)) throw new DrayError('UNAUTHORIZED', 'the user is gone')
      return { ...subject, identity: userOf(config, name) }
    },
  }
}

/** Whether what the configuration names can be used. @throws CONFIG_INVALID */
export function checkSources(config: AuthConfig | undefined): void {
  if (config === undefined) return
  if (config.htpasswd !== undefined) readHtpasswd(config.htpasswd)
  readKeyRing(config.token.keys)
  for (const issuer of config.issuers) createIssuerCheck(issuer)
  if (config.tokenServer !== undefined) createTokenServerCheck(config.tokenServer)
}
