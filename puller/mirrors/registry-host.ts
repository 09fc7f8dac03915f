import type { Digest } from '#oci/digest.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { Certificates } from '../registry/certificates.ts'

/** What a host may be asked for: blobs and manifests by digest, the digests of tags, and to take something. */
export type Capability = 'pull' | 'resolve' | 'push'

/** A place where a repository can be had, as the settings of this machine have it. */
export interface RegistryHost {
  /** `host[:port]`, which credentials and certificates are for. */
  readonly registry: string
  /** The name of the repository there; absent when none was asked about. */
  readonly repository: RepositoryName | undefined
  readonly capabilities: readonly Capability[]
  /** Root of its API. Default: `/v2/` where the registry answers. */
  readonly api?: URL | undefined
  /** The registry that it stands in for, when it is to be told (`?ns=`). */
  readonly namespace?: string | undefined
  /** Sent with every request to it, and to nobody else. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Default: those of the registry. */
  readonly certificates?: Certificates | undefined
  /** Longest wait for a connection, in ms. */
  readonly connectTimeoutMs?: number | undefined
  /** Whether any certificate will do, and no TLS too. */
  readonly insecure?: boolean | undefined
}

/** A repository that is looked for, or only its registry. */
export interface Wanted {
  readonly registry: string
  readonly repository?: RepositoryName | undefined
  /** When it is asked for by digest. */
  readonly digest?: Digest | undefined
}

/**
 * Finds the places of a repository, those to try first first; undefined when nothing is said of it.
 *
 * @throws CONFIG_INVALID; DENIED when it is blocked
 */
export type FindHosts = (
  wanted: Wanted,
  access: 'pull' | 'push',
) => Promise<readonly RegistryHost[] | undefined>
