import { z } from 'zod'
import { DrayError } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { check } from '#oci/schema.ts'
import type { Challenge } from './challenge.ts'
import { failure, type HttpClient, readBody } from './http.ts'

const TOKEN_LIMIT = 256 * 1024

const tokenSchema = z
  .object({ token: z.string().optional(), access_token: z.string().optional() })
  .transform(({ token, access_token }) => token ?? access_token)
  .pipe(z.string('it holds no token'))

/**
 * Gets an anonymous token from the server that a bearer challenge names, as the Docker token protocol has it.
 *
 * @param registry the origin that sent the challenge: a token server without TLS is accepted only from one without TLS
 * @throws REGISTRY_FAILED, REGISTRY_UNREACHABLE
 */
export async function fetchToken(
  http: HttpClient,
  registry: URL,
  challenge: Challenge,
  scope: string,
  signal?: AbortSignal,
): Promise<string> {
  const url = tokenUrl(registry, challenge, scope)
  const response = await http(url, { signal })
  if (response.status !== 200)
    throw await failure(response, `cannot get a token for ${registry.host}`)
  const bytes = await readBody(response, TOKEN_LIMIT)
  const value = parseJson(bytes, { code: 'REGISTRY_FAILED', maxBytes: TOKEN_LIMIT })
  return check(tokenSchema, value, 'token answer', 'REGISTRY_FAILED')
}

function tokenUrl(registry: URL, { parameters }: Challenge, scope: string): URL {
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
  if (parameters.service !== undefined) url.searchParams.set('service', parameters.service)
  url.searchParams.set('scope', scope)
  return url
}
