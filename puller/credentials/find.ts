import { join } from 'node:path'
import { type AuthFile, credentialIn, helperOf, parseAuthFile, readAuthFile } from './auth-file.ts'
import { type FindCredential, serverName } from './credential.ts'
import { credentialHelper } from './helper.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The files that may hold credentials, in the order in which they are asked: podman's, then docker's
 * (containers-auth.json(5)). One that is named takes the place of all.
 */
export function authFiles(
  env: Environment,
  { home, named }: { readonly home: string; readonly named?: string | undefined },
): readonly string[] {
  const chosen = named ?? env.REGISTRY_AUTH_FILE
  if (chosen !== undefined && chosen !== '') return [chosen]
  const runtime = env.XDG_RUNTIME_DIR
  const config = env.XDG_CONFIG_HOME || join(home, '.config')
  return [
    ...(runtime ? [join(runtime, 'containers/auth.json')] : []),
    join(config, 'containers/auth.json'),
    dockerConfigFile(env, home),
  ]
}

/** Docker's own, which every client of registries reads. */
export function dockerConfigFile(env: Environment, home: string): string {
  return join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json')
}

/** Docker's variable that holds what its `config.json` would, for jobs of CI. */
const DOCUMENT = 'DOCKER_AUTH_CONFIG'

/**
 * Credentials that are in the environment itself, which docker and GitLab know; undefined without any, or where a file is named in
 * their place.
 */
export function authDocument(
  env: Environment,
  { named }: { readonly named?: string | undefined },
): AuthFile | undefined {
  const text = env[DOCUMENT]
  if (!text || named || env.REGISTRY_AUTH_FILE) return undefined
  return parseAuthFile(DOCUMENT, Buffer.from(text))
}

/**
 * Asks `first`, and then each file in turn: its helper for the registry, if it names one, then what it holds itself.
 *
 * The credential of a repository is looked for when a registry asks for one, never earlier.
 */
export function credentialFinder(files: readonly string[], first?: AuthFile): FindCredential {
  return async (registry, repository) => {
    for (const each of first === undefined ? files : [first, ...files]) {
      const file = typeof each === 'string' ? await readAuthFile(each) : each
      if (file === undefined) continue
      const helper = helperOf(file, registry)
      const found =
        helper === undefined ? undefined : await credentialHelper(helper).get(serverName(registry))
      const credential = found ?? credentialIn(file, registry, repository)
      if (credential !== undefined) return credential
    }
    return undefined
  }
}
