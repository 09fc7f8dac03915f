import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isErrno } from '#oci/error.ts'
import { makeDirs } from '#oci/make-dirs.ts'
import { cannotWrite } from '../archive/write-out.ts'
import { replaceFile } from '../store/files.ts'
import {
  type AuthFile,
  credentialIn,
  helperOf,
  isKeyOf,
  normalKey,
  readAuthFile,
} from './auth-file.ts'
import { type Credential, serverName } from './credential.ts'
import { credentialHelper } from './helper.ts'

/** Where a credential went: the name of a helper, or a file that anybody who can read it can use. */
export type KeptIn = { readonly helper: string } | { readonly file: string }

/**
 * Keeps the credential of a registry in an auth file, or with the helper that the file names for it.
 *
 * @throws CONFIG_INVALID; what writing throws
 */
export async function keepCredential(
  path: string,
  registry: string,
  credential: Credential,
): Promise<KeptIn> {
  const file = (await readAuthFile(path)) ?? emptyFile(path)
  const helper = helperOf(file, registry)
  if (helper !== undefined) {
    await credentialHelper(helper).store(serverName(registry), credential)
    // Docker looks for the entry to know that there is a credential.
    await writeEntry(file, registry, {})
    return { helper }
  }
  await writeEntry(file, registry, entryOf(credential))
  return { file: path }
}

/** Forgets the credential of a registry. False when none was kept there. @throws CONFIG_INVALID */
export async function forgetCredential(path: string, registry: string): Promise<boolean> {
  const file = await readAuthFile(path)
  if (file === undefined) return false
  const helper = helperOf(file, registry)
  let isKnown = credentialIn(file, registry) !== undefined
  if (helper !== undefined) {
    const store = credentialHelper(helper)
    isKnown ||= (await store.get(serverName(registry))) !== undefined
    await store.erase(serverName(registry))
  }
  if (Object.keys(file.auths).some((key) => isKeyOf(registry, key))) {
    await writeEntry(file, registry, undefined)
  }
  return isKnown
}

/** The registries that an auth file has entries for, or that its helper of all knows. @throws CONFIG_INVALID */
export async function registriesIn(path: string): Promise<readonly string[]> {
  const file = await readAuthFile(path)
  if (file === undefined) return []
  const { auths, credsStore } = file
  const kept = credsStore === undefined ? [] : await credentialHelper(credsStore).list()
  return [...new Set([...Object.keys(auths), ...kept].map(normalKey))]
}

function emptyFile(path: string): AuthFile {
  return { path, auths: {}, credHelpers: {}, credsStore: undefined, document: {} }
}

function entryOf(credential: Credential): object {
  if (credential.kind === 'identity-token') return { identitytoken: credential.token }
  const { username, password } = credential
  return { auth: Buffer.from(`${username}:${password}`).toString('base64') }
}

/** All else that the file holds stays. Links of dotfiles stay links. */
async function writeEntry(
  { path, document }: AuthFile,
  registry: string,
  entry: object | undefined,
): Promise<void> {
  const others = Object.entries(document.auths ?? {}).filter(([key]) => !isKeyOf(registry, key))
  const own = entry === undefined ? [] : [[serverName(registry), entry]]
  const auths = Object.fromEntries([...others, ...own])
  const target = await realPath(path)
  const text = `${JSON.stringify({ ...document, auths }, null, '\t')}\n`
  try {
    makeDirs(dirname(target), 0o700)
    await replaceFile(target, Buffer.from(text), { mode: 0o600 })
  } catch (error) {
    cannotWrite(target)(error)
  }
}

async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return path
    throw error
  }
}
