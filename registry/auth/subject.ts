import type { Identity } from './identity.ts'
import type { Grants } from './tokens/scopes.ts'

/** Whoever makes a request, as far as the credentials that came with it go. */
export interface Subject {
  readonly identity: Identity
  /** What the token of the request was issued for; undefined when no token limits it. */
  readonly grants?: Grants | undefined
  /** Whether the grants alone decide, since whoever issued the token has rules of their own. */
  readonly isGranted?: boolean | undefined
}
