import { DrayError } from '#oci/error.ts'
import { networkOf } from '../net/addresses.ts'
import type { AuthConfig } from './config.ts'
import type { Identity } from './identity.ts'
import { createLogInBrake } from './log-in-brake.ts'
import { isSignedText } from './tokens/verified-tokens.ts'
import type { Sources } from './sources.ts'

export interface LogInRequest {
  readonly user: string
  readonly password: string
  /** Of the client. */
  readonly address: string
}

/** Who has this name and this password. @throws UNAUTHORIZED, TOOMANYREQUESTS after too many failures */
export type LogIn = (sources: Sources, request: LogInRequest) => Promise<Identity>

export function createLogIn(): LogIn {
  const brake = createLogInBrake()
  return async (sources, { user, password, ...request }) => {
    const address = networkOf(request.address)
    // A workload has no password, but a token by which its platform says who it is.
    if (isSignedText(password)) return (await sources.external(password)).identity
    const waitMs = brake.waitMs(user, address)
    if (waitMs > 0) throw tooManyLogIns(waitMs)
    if (!(await sources.isPassword(user, password))) {
      brake.failed(user, address)
      // People type passwords in the place of names: only names that exist may be logged.
      const cause = sources.passwords().has(user) ? { user } : undefined
      throw new DrayError('UNAUTHORIZED', 'wrong user name or password', { cause })
    }
    brake.succeeded(user, address)
    return userOf(sources.config, user)
  }
}

/** A user of the htpasswd file. */
export function userOf(config: AuthConfig, name: string): Identity {
  return { name, groups: groupsOf(config, name) }
}

/** The groups that the configuration puts a user in. */
export function groupsOf({ groups }: AuthConfig, name: string): string[] {
  return Object.keys(groups).filter((group) => groups[group]?.includes(name))
}

function tooManyLogIns(waitMs: number): DrayError {
  const retryAfterSeconds = Math.ceil(waitMs / 1000)
  return new DrayError(
    'TOOMANYREQUESTS',
    `too many failed log-ins: try again in ${retryAfterSeconds} s`,
    { detail: { retryAfterSeconds }, retryable: true },
  )
}
