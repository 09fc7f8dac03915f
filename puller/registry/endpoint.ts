import { DrayError } from '#oci/error.ts'
import type { HttpClient } from './http.ts'

const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_HOST = 'registry-1.docker.io'
const PROBE_TIMEOUT_MS = 5_000

interface EndpointOptions {
  readonly plainHttp?: boolean | undefined
  readonly insecure?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The origin that serves a registry. TLS always, but for registries on this machine, which may go without: there
 * TLS is tried first, as docker does. `plainHttp` skips TLS for any host, `insecure` has any host do without where it must.
 *
 * @param registry `host[:port]` of a reference
 * @throws REGISTRY_UNREACHABLE
 */
export async function resolveEndpoint(
  http: HttpClient,
  registry: string,
  options: EndpointOptions = {},
): Promise<URL> {
  if (options.plainHttp === true) return new URL(`http://${registry}`)
  const secure = secureOrigin(registry)
  if (!isLoopback(secure.hostname) && options.insecure !== true) return secure
  const plain = new URL(`http://${registry}`)
  const answers = await Promise.all([
    speaks(http, secure, options.signal),
    speaks(http, plain, options.signal),
  ])
  if (answers[0]) return secure
  if (answers[1]) return plain
  options.signal?.throwIfAborted()
  throw new DrayError(
    'REGISTRY_UNREACHABLE',
    `no registry answers on ${registry}: is it running? (dray serve --listen ${registry})`,
  )
}

/** Where a registry is, if it speaks TLS. */
export function secureOrigin(registry: string): URL {
  return new URL(`https://${registry === DOCKER_HUB ? DOCKER_HUB_HOST : registry}`)
}

/** Whether a host name is this machine's own. */
export function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/i.test(hostname)
}

async function speaks(
  http: HttpClient,
  origin: URL,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const timeout = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  try {
    const response = await http(new URL('/v2/', origin), {
      method: 'HEAD',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    })
    response.body.destroy()
    // A TLS server answers 400 to plain HTTP.
    return response.status !== 400
  } catch {
    return false
  }
}
