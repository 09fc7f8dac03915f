import { homedir } from 'node:os'
import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import type { Credential, FindCredential, HostLimits, RegistryAccess } from '#puller/index.ts'
import type { CredentialOptions, LimitOptions } from './commands/options.ts'

/**
 * What the options, and the files that they or the environment name, say of registries.
 *
 * @param registry the one that is named: credentials of the command line are for no other, such as a mirror of it
 */
export async function registryAccess(
  options: CredentialOptions & LimitOptions,
  registry?: string,
): Promise<RegistryAccess> {
  const { creds, identityToken, plainHttp, tokenServer } = options
  if (creds !== undefined && identityToken !== undefined) {
    throw new DrayError('USAGE', '--creds and --identity-token say the same in two ways: give one')
  }
  if (options.tlsVerify === false && !plainHttp) {
    const message =
      'certificates are always verified: name the directory with that of the registry by --cert-dir, or say --plain-http where there is no TLS (registries on this machine need neither)'
    throw new DrayError('USAGE', message)
  }
  // Not by the puller's public face, which brings what most commands that ask a registry have no use for.
  const { hostFinder, hostSettings } = await import('#puller/mirrors/find-hosts.ts')
  const { limitFiles, readLimits } = await import('#puller/mirrors/host-limits.ts')
  const { proxyFinder } = await import('#puller/proxy/find-proxy.ts')
  const { readCertificates, readNamedCertificates } = await import(
    '#puller/registry/certificates.ts'
  )
  const given: Credential | undefined =
    identityToken === undefined ? creds : { kind: 'identity-token', token: identityToken }
  const kept = await keptCredentials(options.authfile)
  const { certDir } = options
  return {
    plainHttp,
    tokenServers: tokenServer,
    credentials: async (host, repository) =>
      given !== undefined && host === registry ? given : await kept(host, repository),
    certificates: (host) =>
      certDir === undefined
        ? readCertificates(certificateDirectories(), host)
        : readNamedCertificates(certDir, host, registry),
    proxy: proxyFinder(process.env),
    hosts: hostFinder(hostSettings(process.env, homedir())),
    limits: await readLimits(limitFiles(process.env, homedir()), givenLimits(options)),
  }
}

/** Finds credentials in the environment, and in files of docker and podman, or one that is named. @throws CONFIG_INVALID */
export async function keptCredentials(named: string | undefined): Promise<FindCredential> {
  const { authDocument, authFiles, credentialFinder } = await import('#puller/credentials/find.ts')
  const files = authFiles(process.env, { home: homedir(), named })
  return credentialFinder(files, authDocument(process.env, { named }))
}

/** What the command line says of single hosts. */
function givenLimits({ maxConnections, limitRate }: LimitOptions): Map<string, HostLimits> {
  const [connections, rates] = [maxConnections?.hosts, limitRate?.hosts]
  const hosts = [...(connections?.keys() ?? []), ...(rates?.keys() ?? [])]
  return new Map(
    hosts.map((host) => [
      host,
      { maxConnections: connections?.get(host), limitRate: rates?.get(host) },
    ]),
  )
}

/** Docker's and podman's (containers-certs.d(5)). */
function certificateDirectories(): readonly string[] {
  const config = process.env.XDG_CONFIG_HOME || join(homedir(), '.config')
  return [
    join(config, 'containers/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
    '/etc/containerd/certs.d',
  ]
}
