import { DrayError } from '#oci/error.ts'
import { basicAuthorization, type Credential } from './credentials/credential.ts'
import type { RegistryAccess } from './registry/access.ts'
import { type Challenge, parseChallenge } from './registry/challenge.ts'
import { failure, type HttpResponse } from './registry/http.ts'
import { type OpenRegistry, openRegistry } from './registry/open.ts'
import { fetchToken } from './registry/token.ts'

export interface LoginResult {
  /** What to keep: an identity token in place of the password where the registry gives one. */
  readonly credential: Credential
  /** False when the registry asked for nothing, so that nobody knows whether the credential is right. */
  readonly isChecked: boolean
}

/**
 * Shows a credential to a registry.
 *
 * @param registry `host[:port]`
 * @throws UNAUTHORIZED when it isn't right, REGISTRY_UNREACHABLE, REGISTRY_FAILED, CONFIG_INVALID
 */
export async function logIn(
  registry: string,
  credential: Credential,
  options: Omit<RegistryAccess, 'credentials'> & { readonly signal?: AbortSignal | undefined } = {},
): Promise<LoginResult> {
  const host = (await options.hosts?.({ registry }, 'push'))?.findLast(
    (each) => each.registry === registry,
  )
  const open = await openRegistry({ ...options, registry, host })
  const { signal, tokenServers = [] } = options
  const asked = await ping(open, undefined, signal)
  const challenge = parseChallenge(asked.headers['www-authenticate'] ?? '')
  asked.body.destroy()
  if (asked.status === 200) return { credential, isChecked: false }
  if (challenge === undefined) throw await failure(asked, `cannot log in to ${registry}`)
  const context = { ...open, tokenServers }
  const question = { credential, offline: true, signal }
  const { authorization, kept } =
    challenge.scheme === 'bearer'
      ? await tokenFor(registry, context, challenge, question)
      : { authorization: basicOf(registry, credential), kept: credential }
  const answer = await ping(open, authorization, signal)
  if (answer.status === 200) {
    answer.body.destroy()
    return { credential: kept, isChecked: true }
  }
  const error = await failure(answer, `cannot log in to ${registry}`)
  throw answer.status === 401 ? refused(registry, error) : error
}

function ping(
  { http, api }: OpenRegistry,
  authorization: string | undefined,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  const headers = authorization === undefined ? {} : { authorization }
  return http(api, { headers, signal, redirect: false })
}

async function tokenFor(
  registry: string,
  context: Parameters<typeof fetchToken>[0],
  challenge: Challenge,
  question: Parameters<typeof fetchToken>[2] & { readonly credential: Credential },
): Promise<{ authorization: string; kept: Credential }> {
  try {
    const { token, refreshToken } = await fetchToken(context, challenge, question)
    return {
      authorization: `Bearer ${token}`,
      kept: refreshToken ? { kind: 'identity-token', token: refreshToken } : question.credential,
    }
  } catch (error) {
    const { detail } = error as { detail?: { status?: unknown } }
    throw detail?.status === 401 ? refused(registry, error) : error
  }
}

function basicOf(registry: string, credential: Credential): string {
  if (credential.kind === 'password') {
    return basicAuthorization(credential.username, credential.password)
  }
  throw new DrayError('USAGE', `${registry} takes a user name and a password, no identity token`)
}

function refused(registry: string, cause: unknown): DrayError {
  return new DrayError('UNAUTHORIZED', `${registry} refuses this user name and password`, { cause })
}
