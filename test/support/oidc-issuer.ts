import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose'

/** An issuer of OpenID Connect tokens, as CI platforms and clusters have one. */
export interface OidcIssuer {
  readonly url: string
  /** Paths that were asked for. */
  readonly asked: string[]
  /** Changes what its documents say. */
  answers: Record<string, (() => unknown) | undefined>
  /** A token with these claims, which last for an hour. */
  token(claims: object, header?: object): Promise<string>
  /** Takes a new key in the place of the old one. */
  rotate(): Promise<void>
  stop(): void
}

export async function startOidcIssuer(alg = 'RS256'): Promise<OidcIssuer> {
  const asked: string[] = []
  let kid = 0
  let key: CryptoKey
  let jwk: JWK
  const answers: OidcIssuer['answers'] = {}
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const answer = answers[path]?.()
    if (answer === undefined) response.statusCode = 404
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer: OidcIssuer = {
    ...{ url, asked, answers },
    token: (claims: JWTPayload, header = {}) =>
      new SignJWT({ iss: url, aud: 'registry', sub: 'job', ...claims })
        .setProtectedHeader({ alg, kid: String(kid), typ: 'JWT', ...header })
        .setIssuedAt()
        .setExpirationTime(claims.exp ?? '1h')
        .sign(key),
    async rotate() {
      const pair = await generateKeyPair(alg, { extractable: true })
      key = pair.privateKey
      jwk = { ...(await exportJWK(pair.publicKey)), alg, kid: String(++kid), use: 'sig' }
    },
    stop: () => void server.close(),
  }
  await issuer.rotate()
  answers['/.well-known/openid-configuration'] = () => ({ issuer: url, jwks_uri: `${url}/keys` })
  answers['/keys'] = () => ({ keys: [jwk] })
  return issuer
}
