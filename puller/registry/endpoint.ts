import { DrayError, isDrayError } from '#oci/error.ts'
import type { HttpClient } from './http.ts'

const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_HOST = 'registry-1.docker.io'
const PROBE_TIMEOUT_MS = 5_000
/** What a server that wants TLS answers to plain HTTP: an error, or where it is. */
const WANTS_TLS = new Set([301, 302, 303, 307, 308, 400, 426])

interface EndpointOptions {
  readonly plainHttp?: boolean | undefined
  readonly insecure?: boolean | undefined
  /** Whether there are certificates of its own, which it must need for TLS. */
  readonly hasCertificates?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The origin that serves a registry. TLS always, but for registries on this machine, which may go without. A port of its own
 * is asked without TLS first, which takes longer to get ready than a small pull does, unless it has certificates. `plainHttp`
 * skips TLS for any host, `insecure` has any host do without where it must.
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
  const isOwnPort = isLoopback(secure.hostname) && secure.port !== '' && plain.port !== ''
  const isPlainFirst = isOwnPort && options.hasCertificates !== true
  let mistake: DrayError | undefined
  for (const origin of isPlainFirst ? [plain, secure] : [secure, plain]) {
    const error = await probe(http, origin, options.signal)
    if (error === undefined) return origin
    // Of two, that of TLS tells more: without it, most servers only say that they want it.
    if (isDrayError(error) && !error.retryable && (mistake === undefined || origin === secure))
      mistake = error
  }
  options.signal?.throwIfAborted()
  throw (
    mistake ??
    new DrayError(
      'REGISTRY_UNREACHABLE',
      `no registry answers on ${registry}: is it running? (dray serve --listen ${registry})`,
    )
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

/** Undefined for an origin that may be a registry's, otherwise why it is none. */
async function probe(
  http: HttpClient,
  origin: URL,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(PROBE_TIMEOUT_MS)
  try {
    const response = await http(new URL('/v2/', origin), {
      method: 'HEAD',
      redirect: false,
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    })
    response.body.destroy()
    if (origin.protocol === 'https:' || !WANTS_TLS.has(response.status)) return undefined
    return new Error(`it answered ${response.status}`)
  } catch (error) {
    return error
  }
}
