import type { RepositoryName } from '#oci/reference.ts'

/** What proves to a registry who asks. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** A refresh token of the Docker token protocol, worth something to the registry's token server alone. */
  | { readonly kind: 'identity-token'; readonly token: string }

/** Finds the credential for a repository of `registry` (`host[:port]`), undefined when there is none. */
export type FindCredential = (
  registry: string,
  repository?: RepositoryName,
) => Promise<Credential | undefined>

/** What docker calls the user of an identity token, in credential helpers. */
export const TOKEN_USER = '<token>'

/** `Authorization` of the scheme Basic (RFC 7617). */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}

/** The name that docker's files and helpers know a registry by. */
export function serverName(registry: string): string {
  return registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry
}
