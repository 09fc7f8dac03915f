import { DrayError } from '#oci/error.ts'
import type { Authority } from '../../auth/authority.ts'
import type { TokenAnswer, TokenGrant, TokenRequest } from '../../auth/tokens/token-request.ts'
import type { Routes } from '../access.ts'
import { bodyOf, readWhole } from '../body.ts'
import type { Context } from '../context.ts'
import { presentedBy } from '../guard.ts'
import { PATHS } from '../paths.ts'

const FORM = 'application/x-www-form-urlencoded'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const FORM_LIMIT = 64 * 1024

/**
 * Tokens for clients, by `GET` with the headers of the request or by `POST` with a form (distribution, "Token
 * Authentication Specification", "Docker Registry v2 authentication using OAuth2"), and the keys that they are signed
 * with.
 */
export function addTokenRoutes(router: Routes, authority: Authority, stallTimeoutMs: number): void {
  router.get(PATHS.token, async (ctx) => {
    const parameters = new URLSearchParams(ctx.querystring)
    const isOffline = only(parameters, 'offline_token') === 'true'
    answer(ctx, await authority.token(requestOf(parameters, isOffline), presentedBy(ctx)))
  })

  router.post(PATHS.token, async (ctx) => {
    if (!ctx.is(FORM)) throw new DrayError('REQUEST_INVALID', `send the request as ${FORM}`)
    const body = bodyOf(ctx.req, stallTimeoutMs)
    const bytes = await readWhole(body, ctx.request.length, FORM_LIMIT)
    const parameters = new URLSearchParams(Buffer.from(bytes).toString())
    const isOffline = only(parameters, 'access_type') === 'offline'
    const request = { ...requestOf(parameters, isOffline), grant: grantOf(parameters) }
    answer(ctx, await authority.token(request, presentedBy(ctx)))
  })

  router.get(PATHS.keys, async (ctx) => {
    ctx.body = { keys: await authority.publicKeys() }
  })
}

function requestOf(parameters: URLSearchParams, isOffline: boolean): TokenRequest {
  return { service: only(parameters, 'service'), scopes: parameters.getAll('scope'), isOffline }
}

function grantOf(parameters: URLSearchParams): TokenGrant {
  const type = only(parameters, 'grant_type')
  if (type === 'password') {
    const user = only(parameters, 'username') ?? ''
    return { type, user, password: only(parameters, 'password') ?? '' }
  }
  if (type === 'refresh_token') {
    return { type, token: only(parameters, 'refresh_token') ?? '' }
  }
  if (type === TOKEN_EXCHANGE) {
    return { type: 'exchange', token: only(parameters, 'subject_token') ?? '' }
  }
  throw new DrayError(
    'REQUEST_INVALID',
    `grant_type must be password, refresh_token or ${TOKEN_EXCHANGE}`,
  )
}

/** A parameter that may be there once. @throws REQUEST_INVALID */
function only(parameters: URLSearchParams, name: string): string | undefined {
  const [value, ...more] = parameters.getAll(name)
  if (more.length === 0) return value || undefined
  throw new DrayError('REQUEST_INVALID', `the parameter ${name} was given more than once`)
}

function answer(ctx: Context, { token, issuedAt, expiresInSeconds, refreshToken }: TokenAnswer) {
  ctx.set('Cache-Control', 'no-store')
  ctx.body = {
    token,
    access_token: token,
    expires_in: expiresInSeconds,
    issued_at: issuedAt.toISOString(),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  }
}
