import type { RegistryHost } from '../mirrors/registry-host.ts'
import type { RegistryAccess } from './access.ts'
import type { Certificates } from './certificates.ts'
import { resolveEndpoint, secureOrigin } from './endpoint.ts'
import { createHttpClient, type HttpClient } from './http.ts'

/** A registry that answers. */
export interface OpenRegistry {
  readonly http: HttpClient
  readonly origin: URL
  /** Root of its API. */
  readonly api: URL
  /** Those of the origin, when it has some of its own. */
  readonly certificates: Certificates | undefined
}

export interface OpenOptions extends RegistryAccess {
  /** `host[:port]`. */
  readonly registry: string
  /** What the settings of this machine say of it. */
  readonly host?: RegistryHost | undefined
  readonly stallTimeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Finds out how a registry is reached. @throws REGISTRY_UNREACHABLE, CONFIG_INVALID */
export async function openRegistry(options: OpenOptions): Promise<OpenRegistry> {
  const { registry, host, stallTimeoutMs, signal, proxy, plainHttp = false } = options
  const certificates = await certificatesFor(options)
  const { connectTimeoutMs, headers, insecure } = host ?? {}
  const hasCertificates = certificates?.ca !== undefined || certificates?.cert !== undefined
  const secure = host?.api ?? secureOrigin(registry)
  const own = { origin: secure.origin, certificates, headers }
  const probe = createHttpClient({ connectTimeoutMs, own, proxy })
  const origin =
    host?.api === undefined
      ? await resolveEndpoint(probe, registry, { plainHttp, insecure, hasCertificates, signal })
      : new URL(host.api.origin)
  return {
    http: createHttpClient({ stallTimeoutMs, connectTimeoutMs, own, proxy }),
    origin,
    api: host?.api ?? new URL('/v2/', origin),
    certificates: origin.protocol === 'https:' ? certificates : undefined,
  }
}

async function certificatesFor(options: OpenOptions): Promise<Certificates | undefined> {
  const { registry, host } = options
  const certificates = host?.certificates ?? (await options.certificates?.(registry))
  return host?.insecure === true ? { ...certificates, rejectUnauthorized: false } : certificates
}
