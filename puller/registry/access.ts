import type { FindCredential } from '../credentials/credential.ts'
import type { FindHosts } from '../mirrors/registry-host.ts'
import type { FindProxy } from '../proxy/find-proxy.ts'
import type { Certificates } from './certificates.ts'
import type { FindLimits } from './remote-host.ts'

/** How registries are reached, and what is shown to them. */
export interface RegistryAccess {
  /** Speak HTTP without TLS to hosts other than this one too. */
  readonly plainHttp?: boolean | undefined
  /** Asked when a registry wants to know who is there. Default: nobody has credentials. */
  readonly credentials?: FindCredential | undefined
  /** Certificates for a registry (`host[:port]`). Default: those of the system, and none of our own. */
  readonly certificates?: ((registry: string) => Promise<Certificates | undefined>) | undefined
  /** Where repositories can be had besides their registries. Default: nowhere. */
  readonly hosts?: FindHosts | undefined
  /** The proxies by which hosts are reached. Default: none. */
  readonly proxy?: FindProxy | undefined
  /** Hosts of token servers that may be shown credentials, besides those on the registry's own domain. */
  readonly tokenServers?: readonly string[] | undefined
  /** How much of each registry, or mirror, may be used. Default: as much as there is. */
  readonly limits?: FindLimits | undefined
}

/** Those options that are about access, of more. */
export function accessOf(options: RegistryAccess): RegistryAccess {
  const { plainHttp, credentials, certificates, hosts, proxy, tokenServers, limits } = options
  return { plainHttp, credentials, certificates, hosts, proxy, tokenServers, limits }
}
