import type { RegistryAccess } from './access.ts'
import type { Certificates } from './certificates.ts'
import { resolveEndpoint, secureOrigin } from './endpoint.ts'
import { createHttpClient, type HttpClient } from './http.ts'

/** A registry that answers. */
export interface OpenRegistry {
  readonly http: HttpClient
  readonly origin: URL
  /** Those of the origin, when it has some of its own. */
  readonly certificates: Certificates | undefined
}

export interface OpenOptions extends RegistryAccess {
  /** `host[:port]`. */
  readonly registry: string
  readonly stallTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Finds out how a registry is reached. @throws REGISTRY_UNREACHABLE, CONFIG_INVALID */
export async function openRegistry(options: OpenOptions): Promise<OpenRegistry> {
  const { registry, stallTimeoutMs, signal, plainHttp = false } = options
  const certificates = await options.certificates?.(registry)
  const own =
    certificates === undefined ? undefined : { origin: secureOrigin(registry).origin, certificates }
  const probe = createHttpClient(undefined, own)
  const origin = await resolveEndpoint(probe, registry, { plainHttp, signal })
  return {
    http: createHttpClient(stallTimeoutMs, own),
    origin,
    certificates: origin.protocol === 'https:' ? certificates : undefined,
  }
}
