import { DrayError } from '#oci/error.ts'
import { basicAuthorization, type Credential } from '../credentials/credential.ts'
import { type Challenge, parseChallenge } from './challenge.ts'
import type { HttpClient, HttpResponse } from './http.ts'
import { fetchToken } from './token.ts'

export interface AuthorizerOptions {
  readonly http: HttpClient
  /** The registry. What it is shown is for this origin alone. */
  readonly origin: URL
  /** What a token is to be good for, each as the Docker token protocol writes it. */
  readonly scopes: readonly string[]
  readonly tokenServers: readonly string[]
  /** Called at most once, when the registry asks. */
  readonly credential: () => Promise<Credential | undefined>
}

/** Answers a registry that asks who is there. */
export interface Authorizer {
  /** The header `Authorization` for requests to the registry; undefined until it has asked. */
  readonly header: string | undefined
  /**
   * Takes an answer to a request that was sent with `sent`. True when the request is worth another try, with the header
   * as it is now; the answer's body is destroyed then.
   *
   * @throws REGISTRY_FAILED, REGISTRY_UNREACHABLE, CONFIG_INVALID
   */
  isWorthAnother(
    response: HttpResponse,
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<boolean>
}

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  let header: string | undefined
  let credential: Promise<Credential | undefined> | undefined
  let renewing: Promise<string | undefined> | undefined

  /** A header that answers the challenge, undefined when there is nothing to show. */
  async function answer(challenge: Challenge, signal?: AbortSignal): Promise<string | undefined> {
    credential ??= options.credential()
    const known = await credential
    if (challenge.scheme === 'bearer') {
      const { token } = await fetchToken(options, challenge, { credential: known, signal })
      return `Bearer ${token}`
    }
    if (challenge.scheme !== 'basic' || known === undefined) return undefined
    if (known.kind === 'password') return basicAuthorization(known.username, known.password)
    throw new DrayError(
      'REGISTRY_FAILED',
      `${options.origin.host} wants a user name and a password, not an identity token: dray login`,
    )
  }

  return {
    get header() {
      return header
    },
    async isWorthAnother(response, sent, signal) {
      if (response.status !== 401) return false
      if (sent === header) {
        const challenge = parseChallenge(response.headers['www-authenticate'] ?? '')
        if (challenge === undefined) return false
        // Requests that are refused together share one answer.
        renewing ??= answer(challenge, signal).finally(() => {
          renewing = undefined
        })
        const renewed = await renewing
        if (renewed === undefined || renewed === sent) return false
        header = renewed
      }
      response.body.destroy()
      return true
    },
  }
}
