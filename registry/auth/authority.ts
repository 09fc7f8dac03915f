import type { Logger } from 'pino'
import { DrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { createPasswordThread, type PasswordThread } from '../password-thread.ts'
import type { AuthConfig } from './config.ts'
import { parseCredentials } from './credentials.ts'
import { type Passwords, readHtpasswd } from './htpasswd.ts'
import { ANONYMOUS, type Identity } from './identity.ts'
import { createLogInBrake } from './log-in-brake.ts'
import { createPasswordCheck, type PasswordCheck } from './password-check.ts'
import { type Action, type Decision, decide, parseRules, type Rules } from './rules.ts'
import { watchFiles } from './watched-file.ts'

/** What a request shows of who makes it. */
export interface Presented {
  /** The header `Authorization`, empty if there is none. */
  readonly authorization: string
  /** Of the client. */
  readonly address: string
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
  identify(presented: Presented): Promise<Identity>
  decide(identity: Identity, action: Action, repository: RepositoryName): Decision
  /** Whether there can be anything that they may do so. */
  mayAnywhere(identity: Identity, action: Action): boolean
  /** The `WWW-Authenticate` that asks a client to log in. */
  challenge(): string
  /** Takes another configuration, or none of it. @throws CONFIG_INVALID, and stays as it was */
  reload(config: AuthConfig | undefined): void
  close(): Promise<void>
}

interface State {
  readonly config: AuthConfig
  readonly rules: Rules
  readonly passwords: () => Passwords
  readonly isPassword: PasswordCheck
}

/** @throws CONFIG_INVALID */
export function createAuthority(
  initial: AuthConfig | undefined,
  { logger }: { readonly logger: Logger },
): Authority {
  const thread = createPasswordThread()
  const brake = createLogInBrake()
  let state = openState(initial, thread, logger)

  async function logIn(user: string, password: string, address: string): Promise<Identity> {
    const waitMs = brake.waitMs(user, address)
    if (waitMs > 0) throw tooManyLogIns(waitMs)
    if (state === undefined || !(await state.isPassword(user, password))) {
      brake.failed(user, address)
      // People type passwords in the place of names: only names that exist may be logged.
      const cause = state?.passwords().has(user) ? { user } : undefined
      throw new DrayError('UNAUTHORIZED', 'wrong user name or password', { cause })
    }
    brake.succeeded(user, address)
    return { name: user, groups: groupsOf(state.config, user) }
  }

  return {
    get isClosed() {
      return state !== undefined
    },
    async identify({ authorization, address }) {
      if (state === undefined || authorization === '') return ANONYMOUS
      const credentials = parseCredentials(authorization)
      if (credentials?.scheme !== 'basic') {
        throw new DrayError('UNAUTHORIZED', 'log in with a user name and a password')
      }
      return logIn(credentials.user, credentials.password, address)
    },
    decide(identity, action, repository) {
      if (state === undefined) return EVERYTHING
      return decide(state.rules, identity, action, repository)
    },
    mayAnywhere: (identity, action) =>
      state === undefined || hasRule(state.rules, identity, action),
    challenge: () => 'Basic realm="Dray registry", charset="UTF-8"',
    reload(config) {
      state = openState(config, thread, logger)
    },
    close: () => thread.close(),
  }
}

const EVERYTHING: Decision = {
  isAllowed: true,
  why: 'everybody may do everything: there is no auth',
}

const NO_PASSWORDS: Passwords = new Map()

function openState(
  config: AuthConfig | undefined,
  thread: PasswordThread,
  logger: Logger,
): State | undefined {
  if (config === undefined) return undefined
  const { htpasswd } = config
  const passwords =
    htpasswd === undefined
      ? () => NO_PASSWORDS
      : watchFiles([htpasswd], () => readHtpasswd(htpasswd), { logger })
  return {
    config,
    rules: parseRules(config.rules),
    passwords,
    isPassword: createPasswordCheck(passwords, thread),
  }
}

/** The groups that the configuration puts a user in. */
export function groupsOf({ groups }: AuthConfig, name: string): string[] {
  return Object.keys(groups).filter((group) => groups[group]?.includes(name))
}

function hasRule({ rules }: Rules, identity: Identity, action: Action): boolean {
  return rules.some(
    ({ actions, subjects }) => actions.has(action) && subjects.some((matches) => matches(identity)),
  )
}

function tooManyLogIns(waitMs: number): DrayError {
  const retryAfterSeconds = Math.ceil(waitMs / 1000)
  return new DrayError(
    'TOOMANYREQUESTS',
    `too many failed log-ins: try again in ${retryAfterSeconds} s`,
    { detail: { retryAfterSeconds }, retryable: true },
  )
}
