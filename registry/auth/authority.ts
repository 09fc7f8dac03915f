import type { JWK } from 'jose'
import type { Logger } from 'pino'
import { DrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { createPasswordThread } from '../password-thread.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { type Challenge, formatChallenge } from './challenge.ts'
import type { AuthConfig } from './config.ts'
import { parseCredentials } from './credentials.ts'
import { ANONYMOUS, type Identity, nameOf } from './identity.ts'
import { createLogIn } from './log-in.ts'
import { type Action, type Decision, decide, hasRule } from './rules.ts'
import { openSources, type Sources } from './sources.ts'
import type { Subject } from './subject.ts'
import { covers } from './tokens/scopes.ts'
import { issueToken, type TokenAnswer, type TokenRequest } from './tokens/token-request.ts'

/** What a request shows of who makes it. */
export interface Presented {
  /** The header `Authorization`, empty if there is none. */
  readonly authorization: string
  /** Of the client. */
  readonly address: string
  /** Who it is by the certificate of the connection. */
  readonly certificate?: Identity | undefined
}

/** Finds out who makes a request, and what they may do. */
export interface Authority {
  /** False when everybody may do everything. */
  readonly isClosed: boolean
  /**
   * Who it is; anonymous when no credentials came.
   *
   * @throws UNAUTHORIZED when credentials came that aren't right, TOOMANYREQUESTS
   */
  identify(presented: Presented): Promise<Subject>
  decide(subject: Subject, action: Action, repository: RepositoryName): AccessDecision
  /** Whether there can be repositories that they may list. */
  mayList(subject: Subject): boolean
  /** The `WWW-Authenticate` that asks a client to log in. */
  challenge(challenge: Challenge): string
  /** A token for what a client asks and its user may. @throws UNAUTHORIZED, TOOMANYREQUESTS, UNSUPPORTED, REQUEST_INVALID */
  token(request: TokenRequest, presented: Presented): Promise<TokenAnswer>
  /** The public keys of tokens (RFC 7517). @throws UNSUPPORTED */
  publicKeys(): Promise<readonly JWK[]>
  /** Takes another configuration, or none of it. @throws CONFIG_INVALID, and stays as it was */
  reload(config: AuthConfig | undefined): void
  close(): Promise<void>
}

export interface AccessDecision extends Decision {
  /** Whether it is the token alone that doesn't allow it: another one would. */
  readonly needsScope?: boolean | undefined
}

export interface AuthorityParts {
  readonly records: RecordDriver
  readonly logger: Logger
}

const EVERYTHING: Decision = {
  isAllowed: true,
  why: 'everybody may do everything: there is no auth',
}

/** @throws CONFIG_INVALID */
export function createAuthority(
  initial: AuthConfig | undefined,
  { records, logger }: AuthorityParts,
): Authority {
  const thread = createPasswordThread()
  const logIn = createLogIn()
  const open = (config: AuthConfig | undefined) =>
    config === undefined ? undefined : openSources(config, { thread, records, logger })
  let sources = open(initial)

  async function identify(presented: Presented): Promise<Subject> {
    const { authorization, address, certificate = ANONYMOUS } = presented
    if (sources === undefined || authorization === '') return { identity: certificate }
    const credentials = parseCredentials(authorization)
    if (credentials === undefined) {
      throw new DrayError('UNAUTHORIZED', 'log in with a user name and a password, or a token')
    }
    if (credentials.scheme === 'bearer') return sources.bearer(credentials.token)
    return { identity: await logIn(sources, { ...credentials, address }) }
  }

  const tokenSources = (): Sources => {
    const config = sources?.config
    if (config?.challenge === 'bearer' && config.tokenServer === undefined)
      return sources as Sources
    throw new DrayError('UNSUPPORTED', 'this registry issues no tokens')
  }

  return {
    get isClosed() {
      return sources !== undefined
    },
    identify,
    decide(subject, action, repository) {
      if (sources === undefined) return EVERYTHING
      const { identity, grants, isGranted } = subject
      if (isGranted) return decideByGrants(subject, action, repository)
      const decision = decide(sources.rules, identity, action, repository)
      if (!decision.isAllowed || grants === undefined || covers(grants, action, repository)) {
        return decision
      }
      const why = `the token was not issued to ${action} ${repository}`
      return { isAllowed: false, needsScope: true, why }
    },
    mayList: ({ identity, grants, isGranted }) =>
      sources === undefined ||
      ((isGranted || hasRule(sources.rules, identity, 'list')) && grants?.catalog !== false),
    challenge: (challenge) => formatChallenge(sources?.config, challenge),
    token: (request, presented) =>
      issueToken(tokenSources(), request, {
        async identify() {
          const { identity, grants } = await identify(presented)
          // Else a token that was issued for little could get one for more.
          if (grants === undefined) return identity
          throw new DrayError('UNAUTHORIZED', 'a token for the registry gets no other ones')
        },
        logIn: async (user, password) =>
          logIn(tokenSources(), { user, password, address: presented.address }),
      }),
    async publicKeys() {
      return (await tokenSources().keys.all()).map(({ publicJwk }) => publicJwk)
    },
    reload(config) {
      sources = open(config)
    },
    close: () => thread.close(),
  }
}

/** By what a token server has granted. */
function decideByGrants(
  { identity, grants }: Subject,
  action: Action,
  repository: RepositoryName,
): AccessDecision {
  if (grants !== undefined && covers(grants, action, repository)) {
    return {
      isAllowed: true,
      why: `the token server lets ${nameOf(identity)} ${action} ${repository}`,
    }
  }
  const why = `the token was not issued to ${action} ${repository}`
  return { isAllowed: false, needsScope: true, why }
}
