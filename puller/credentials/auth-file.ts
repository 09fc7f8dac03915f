import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { absentable, stringMap } from '#oci/schema.ts'
import { type Credential, serverName } from './credential.ts'
import { parseSecretJson } from './secret-json.ts'

/** A `config.json` of docker, or an `auth.json` of podman, as far as it tells of credentials. */
export interface AuthFile {
  readonly path: string
  readonly auths: Readonly<Record<string, AuthEntry>>
  /** Credential helper of each registry. */
  readonly credHelpers: Readonly<Record<string, string>>
  /** Credential helper of all others. */
  readonly credsStore: string | undefined
  /** Everything that it holds, to be kept when it is changed. */
  readonly document: Readonly<Record<string, unknown>>
}

const entrySchema = z.object({
  auth: absentable(z.string()),
  username: absentable(z.string()),
  password: absentable(z.string()),
  identitytoken: absentable(z.string()),
})

type AuthEntry = z.output<typeof entrySchema>

const fileSchema = z.object({
  auths: absentable(z.record(z.string(), entrySchema)),
  credHelpers: stringMap,
  credsStore: absentable(z.string()),
})

/** Undefined when there is no such file. @throws CONFIG_INVALID naming the file, never what it holds */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  try {
    return parseAuthFile(path, await readFile(path))
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined
    throw isDrayError(cause, 'CONFIG_INVALID') ? cause : unusable(path, cause)
  }
}

/** @param path what it is called in errors. @throws CONFIG_INVALID, never with what it holds */
export function parseAuthFile(path: string, bytes: Buffer): AuthFile {
  const text = bytes.length === 0 ? Buffer.from('{}') : bytes
  try {
    const { document, value } = parseSecretJson(text, fileSchema, 'file')
    const { auths, credHelpers, credsStore } = value
    return {
      path,
      auths: auths ?? {},
      credHelpers: credHelpers ?? {},
      credsStore: credsStore === '' ? undefined : credsStore,
      document: document as Record<string, unknown>,
    }
  } catch (cause) {
    throw unusable(path, cause)
  }
}

function unusable(path: string, cause: unknown): DrayError {
  const message = `cannot use the credentials in ${path}: ${errorMessage(cause)}`
  return new DrayError('CONFIG_INVALID', message, { cause })
}

/**
 * What a file itself holds for a repository: the entry of the longest prefix of its name, then that of its registry
 * (containers-auth.json(5)).
 *
 * @throws CONFIG_INVALID when the entry can't be understood
 */
export function credentialIn(
  file: AuthFile,
  registry: string,
  repository?: RepositoryName,
): Credential | undefined {
  const entries = new Map(
    Object.entries(file.auths).map(([key, entry]) => [normalKey(key), entry] as const),
  )
  for (const name of namesOf(registry, repository)) {
    const entry = file.auths[name] ?? entries.get(name)
    const credential = entry === undefined ? undefined : parseEntry(file.path, name, entry)
    if (credential !== undefined) return credential
  }
  return undefined
}

/** The helper that keeps the credential of a registry, if one does. */
export function helperOf(file: AuthFile, registry: string): string | undefined {
  const { credHelpers, credsStore } = file
  return credHelpers[serverName(registry)] ?? credHelpers[registry] ?? credsStore
}

/** From the most specific to the registry alone. */
function namesOf(registry: string, repository: RepositoryName | undefined): string[] {
  const parts = repository?.split('/') ?? []
  const prefixes = parts.map((_, i) => [registry, ...parts.slice(0, parts.length - i)].join('/'))
  return [...prefixes, serverName(registry), registry]
}

/** Whether an entry is that of a registry, whichever client wrote it. */
export function isKeyOf(registry: string, key: string): boolean {
  return key === serverName(registry) || normalKey(key) === registry
}

/** Old clients wrote URLs: `https://host/v1/`. */
export function normalKey(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '')
  return host === 'index.docker.io' ? 'docker.io' : host
}

function parseEntry(path: string, name: string, entry: AuthEntry): Credential | undefined {
  const { auth, username, password, identitytoken } = entry
  if (identitytoken) return { kind: 'identity-token', token: identitytoken }
  if (username && password !== undefined) return { kind: 'password', username, password }
  if (!auth) return undefined
  // Old clients pad it with zeros.
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
  const colon = text.indexOf(':')
  if (colon < 1) {
    throw new DrayError(
      'CONFIG_INVALID',
      `the entry of ${name} in ${path} is damaged: log in again (dray login)`,
    )
  }
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) }
}
