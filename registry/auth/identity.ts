/**
 * Who makes a request. Names of different sources can't meet: those of an htpasswd file have no colon, all others begin
 * with their source and one, as `github:repo:acme/app:ref:refs/heads/main` or `cert:dns:ci.example.org`.
 */
export interface Identity {
  /** Undefined for who hasn't logged in. */
  readonly name: string | undefined
  readonly groups: readonly string[]
  /** The source that vouches for the claims; undefined when there are none. */
  readonly issuer?: string | undefined
  readonly claims?: Claims | undefined
}

/** What an issuer says of a subject, as it stands in its token. */
export type Claims = Readonly<Record<string, unknown>>

export const ANONYMOUS: Identity = Object.freeze({ name: undefined, groups: Object.freeze([]) })

/** For people and logs. */
export function nameOf({ name }: Identity): string {
  return name ?? 'anonymous'
}
