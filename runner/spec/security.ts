import { readFile } from 'node:fs/promises'
import { DrayError, errorMessage } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import type { ContainerOptions } from '../options.ts'

const PROFILE_LIMIT = 1024 * 1024

type SecurityOptions = Pick<ContainerOptions, 'seccomp' | 'noNewPrivileges' | 'unmaskedPaths'>

/** Parses `--security-opt`, and reads the profile that it names. @throws USAGE */
export async function parseSecurityOptions(texts: readonly string[]): Promise<SecurityOptions> {
  let options: SecurityOptions = {}
  for (const text of texts) options = { ...options, ...(await parseOption(text)) }
  return options
}

async function parseOption(text: string): Promise<SecurityOptions> {
  const [, name = text, value = ''] = /^([a-z-]+)[=:](.*)$/.exec(text) ?? []
  if (name === 'no-new-privileges' && /^(?:true|false|)$/.test(value)) {
    return { noNewPrivileges: value !== 'false' }
  }
  if (name === 'systempaths' && value === 'unconfined') return { unmaskedPaths: true }
  if (name === 'seccomp')
    return { seccomp: value === 'unconfined' ? value : await readProfile(value) }
  // What these switch off is not on: no label, no profile.
  if (
    (name === 'label' && value === 'disable') ||
    (name === 'apparmor' && value === 'unconfined')
  ) {
    return {}
  }
  const known = 'seccomp=FILE|unconfined, no-new-privileges[=false], systempaths=unconfined'
  throw new DrayError('USAGE', `no such security option: ${JSON.stringify(text)}. Write ${known}`)
}

async function readProfile(path: string) {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new DrayError('USAGE', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
  const { parseSeccompProfile } = await import('./seccomp-file.ts') // few name one
  try {
    return parseSeccompProfile(parseJson(bytes, { code: 'USAGE', maxBytes: PROFILE_LIMIT }))
  } catch (cause) {
    const message = `${path} is no seccomp profile: ${errorMessage(cause)}`
    throw new DrayError('USAGE', message, { cause })
  }
}
