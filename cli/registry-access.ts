import { homedir } from 'node:os'
import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import type { Credential, RegistryAccess } from '#puller/index.ts'
import type { CredentialOptions } from './commands/options.ts'

/**
 * What the options, and the files that they or the environment name, say of registries.
 *
 * @param registry the one that is named: credentials of the command line are for no other, such as a mirror of it
 */
export async function registryAccess(
  options: CredentialOptions,
  registry?: string,
): Promise<RegistryAccess> {
  const { creds, identityToken, plainHttp, tokenServer } = options
  if (creds !== undefined && identityToken !== undefined) {
    throw new DrayError('USAGE', '--creds and --identity-token say the same in two ways: give one')
  }
  const { authFiles, credentialFinder, hostFinder, hostSettings, proxyFinder, readCertificates } =
    await import('#puller/index.ts')
  const given: Credential | undefined =
    identityToken === undefined ? creds : { kind: 'identity-token', token: identityToken }
  const files = authFiles(process.env, { home: homedir(), named: options.authfile })
  const kept = credentialFinder(files)
  const certificateDirs = certificateDirectories(options.certDir)
  return {
    plainHttp,
    tokenServers: tokenServer,
    credentials: async (host, repository) =>
      given !== undefined && host === registry ? given : await kept(host, repository),
    certificates: (host) => readCertificates(certificateDirs, host),
    proxy: proxyFinder(process.env),
    hosts: hostFinder(hostSettings(process.env, homedir())),
  }
}

/** Docker's and podman's (containers-certs.d(5)). */
function certificateDirectories(named: string | undefined): readonly string[] {
  if (named !== undefined) return [named]
  const config = process.env.XDG_CONFIG_HOME || join(homedir(), '.config')
  return [
    join(config, 'containers/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
    '/etc/containerd/certs.d',
  ]
}
