import type { RepositoryName } from '#oci/reference.ts'
import { groupsOf } from './log-in.ts'
import type { AuthConfig } from './config.ts'
import { ANONYMOUS, type Claims } from './identity.ts'
import { type Action, type Decision, decide, parseRules } from './rules.ts'

/** Whether somebody could do something, asked without a request. */
export interface Question {
  /** `anonymous`, a user of the htpasswd file, or a name that begins with its source, such as `github:repo:acme/app`. */
  readonly user: string
  readonly action: Action
  readonly repository: RepositoryName
  /** Besides those of the configuration. */
  readonly groups?: readonly string[]
  /** By name, or by path, as rules name them; of the issuer before the first colon of the user's name. */
  readonly claims?: Readonly<Record<string, string>>
}

/** What the registry would decide, and by which rule. */
export function explain(config: AuthConfig | undefined, question: Question): Decision {
  if (config === undefined) {
    return { isAllowed: true, why: 'everybody may do everything: the configuration has no auth' }
  }
  const { user, action, repository, groups = [], claims = {} } = question
  const identity =
    user === 'anonymous'
      ? ANONYMOUS
      : {
          name: user,
          groups: [...groupsOf(config, user), ...groups],
          ...(user.includes(':')
            ? { issuer: user.slice(0, user.indexOf(':')), claims: nest(claims) }
            : {}),
        }
  return decide(parseRules(config.rules), identity, action, repository)
}

/** `/a/b` of a claim that lies in another one. */
function nest(claims: Readonly<Record<string, string>>): Claims {
  const nested: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(claims)) {
    const path = name.startsWith('/') ? name.slice(1).split('/') : [name]
    let at = nested
    for (const key of path.slice(0, -1)) {
      const below = at[key]
      const next = typeof below === 'object' && below !== null ? below : {}
      at[key] = next
      at = next as Record<string, unknown>
    }
    at[path.at(-1) ?? ''] = value
  }
  return nested
}
