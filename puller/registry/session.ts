import type { RepositoryName } from '#oci/reference.ts'
import { createAuthorizer } from './authorizer.ts'
import type { HttpResponse } from './http.ts'
import { type OpenOptions, type OpenRegistry, openRegistry } from './open.ts'
import type { Call } from './place.ts'
import { createRemoteHost, type RemoteHost, requestFrom } from './remote-host.ts'

export interface SessionOptions extends OpenOptions {
  /** What a token is to be good for, each as the Docker token protocol writes it. */
  readonly scopes: readonly string[]
  /** Whose credential is shown. */
  readonly repository?: RepositoryName | undefined
  /** Where others may send requests, too. Default: `registry`, with its limits. */
  readonly remote?: RemoteHost | undefined
}

/** A registry that answers, and how to ask it for something. */
export interface Session extends OpenRegistry {
  readonly remote: RemoteHost
  /** The header `Authorization` of requests to it; undefined until it has asked. */
  readonly authorization: string | undefined
  /** Sends a request to the registry, with what it wants to see once it has asked. Others are shown nothing. */
  request(url: URL, call: Call): Promise<HttpResponse>
}

/** Finds out how a registry is reached, to ask it for several things. @throws REGISTRY_UNREACHABLE, CONFIG_INVALID */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { registry, repository, scopes } = options
  const open = await openRegistry(options)
  const { http, origin } = open
  const { remote = createRemoteHost(registry, options.limits?.(registry)) } = options
  const authorizer = createAuthorizer({
    ...{ http, origin, scopes },
    tokenServers: options.tokenServers ?? [],
    credential: async () => options.credentials?.(registry, repository),
  })
  return {
    ...open,
    remote,
    get authorization() {
      return authorizer.header
    },
    async request(url, { body, ...rest }) {
      const isOwn = url.origin === origin.origin
      const send = (authorization: string | undefined) =>
        requestFrom(remote, () =>
          http(url, {
            ...rest,
            headers: { ...rest.headers, ...(authorization === undefined ? {} : { authorization }) },
            ...(body && { body: body() }),
          }),
        )
      if (!isOwn) return send(undefined)
      const sent = authorizer.header
      const response = await send(sent)
      try {
        const isWorthAnother = await authorizer.isWorthAnother(response, sent, rest.signal)
        return isWorthAnother ? await send(authorizer.header) : response
      } catch (error) {
        response.body.destroy()
        throw error
      }
    },
  }
}
