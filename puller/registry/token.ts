import * as z from 'zod'
import { DrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { absentable, check } from '#oci/schema.ts'
import { basicAuthorization, type Credential } from '../credentials/credential.ts'
import type { Challenge } from './challenge.ts'
import { failure, type HttpClient, type HttpRequest, readBody } from './http.ts'
import { isSameSite } from './same-site.ts'

const TOKEN_LIMIT = 256 * 1024
const CLIENT_ID = 'dray'

export interface TokenAnswer {
  readonly token: string
  /** For later, in place of the password; only when it was asked for, and the server has such. */
  readonly refreshToken: string | undefined
}

interface TokenServerContext {
  readonly http: HttpClient
  /** The registry that sent the challenge. */
  readonly origin: URL
  readonly scopes?: readonly string[]
  /** Hosts that may be shown the credential, besides those of the registry's own site. */
  readonly tokenServers: readonly string[]
}

interface TokenQuestion {
  readonly credential: Credential | undefined
  /** Ask for a refresh token too. */
  readonly offline?: boolean
  readonly signal?: AbortSignal | undefined
}

const tokenSchema = z
  .object({
    token: absentable(z.string()),
    access_token: absentable(z.string()),
    refresh_token: absentable(z.string()),
  })
  .transform((answer, context): TokenAnswer => {
    // Some send one of the two, some both, some one that is empty.
    const token = answer.token || answer.access_token
    if (!token) {
      context.addIssue({ code: 'custom', message: 'it holds no token' })
      return z.NEVER
    }
    return { token, refreshToken: answer.refresh_token }
  })

/**
 * Gets a token from the server that a bearer challenge names, as the Docker token protocol has it. A token server
 * without TLS is accepted only from a registry without TLS.
 *
 * @throws REGISTRY_FAILED, REGISTRY_UNREACHABLE
 */
export async function fetchToken(
  context: TokenServerContext,
  challenge: Challenge,
  question: TokenQuestion,
): Promise<TokenAnswer> {
  const { http, origin } = context
  const realm = realmOf(origin, challenge)
  if (question.credential !== undefined) await checkRealm(context, realm)
  const response = await http(...tokenRequest(context, realm, challenge, question))
  if (response.status !== 200)
    throw await failure(response, `cannot get a token for ${origin.host}`)
  const bytes = await readBody(response, TOKEN_LIMIT)
  const value = parseJson(bytes, { code: 'REGISTRY_FAILED', maxBytes: TOKEN_LIMIT })
  return check(tokenSchema, value, 'token answer', 'REGISTRY_FAILED')
}

function realmOf(registry: URL, { parameters }: Challenge): URL {
  const realm = parameters.realm ?? ''
  if (!URL.canParse(realm)) {
    throw new DrayError(
      'REGISTRY_FAILED',
      `${registry.host} asks for a token, but names no server for it`,
    )
  }
  const url = new URL(realm)
  const plain = url.protocol === 'http:' && registry.protocol === 'http:'
  if (url.protocol !== 'https:' && !plain) {
    throw new DrayError(
      'REGISTRY_FAILED',
      `${registry.host} names a token server without TLS: ${url.origin}`,
    )
  }
  return url
}

/** A credential is for the registry, not for whatever host it, or who poses as it, names. */
async function checkRealm({ origin, tokenServers }: TokenServerContext, realm: URL): Promise<void> {
  if (tokenServers.includes(realm.host) || (await isSameSite(realm, origin))) return
  throw new DrayError(
    'REGISTRY_FAILED',
    `${origin.host} sends us to a token server on another site, ${realm.host}, which gets no ` +
      `credentials. If it is the right one, say --token-server ${realm.host}`,
  )
}

/** A password goes by GET, which all servers know; an identity token by POST, the only way there is. */
function tokenRequest(
  { scopes = [] }: TokenServerContext,
  realm: URL,
  { parameters: { service } }: Challenge,
  { credential, offline = false, signal }: TokenQuestion,
): [URL, HttpRequest] {
  const fields = new URLSearchParams(service === undefined ? {} : { service })
  if (credential?.kind === 'identity-token') {
    if (scopes.length > 0) fields.set('scope', scopes.join(' '))
    fields.set('grant_type', 'refresh_token')
    fields.set('refresh_token', credential.token)
    fields.set('client_id', CLIENT_ID)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = Buffer.from(fields.toString())
    return [realm, { method: 'POST', headers, body, signal, redirect: false }]
  }
  const url = new URL(realm)
  if (credential !== undefined) fields.set('account', credential.username)
  if (offline) {
    fields.set('offline_token', 'true')
    fields.set('client_id', CLIENT_ID)
  }
  for (const [name, value] of fields) url.searchParams.set(name, value)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  if (credential === undefined) return [url, { signal }]
  const authorization = basicAuthorization(credential.username, credential.password)
  return [url, { headers: { authorization }, signal, redirect: false }]
}
