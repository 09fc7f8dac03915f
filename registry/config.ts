import { readFileSync } from 'node:fs'
import { DrayError } from '#oci/error.ts'
import { type ConfigOf, type DocumentOf, isSection, type NamedSetting } from './config/setting.ts'
import { SETTINGS } from './config/settings.ts'
import { fromDocument, fromEnvironment, NAMED_SETTINGS, parseDocument } from './config/sources.ts'
import { checkConfig } from './config/checks.ts'

/** Where a registry listens, keeps its content, and how it behaves. Complete and frozen. */
export interface RegistryConfig extends ConfigOf<typeof SETTINGS> {}

export type S3Config = NonNullable<RegistryConfig['s3']>

/** A document of the form of the config file, every key optional; flags of the command line come as one, too. */
export interface ConfigDocument extends DocumentOf<typeof SETTINGS> {}

export type { ListenAddress } from './config/address.ts'

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Text of the config file. */
  readonly file?: Uint8Array | undefined
  readonly flags?: ConfigDocument | undefined
}

/**
 * The configuration that flags, environment, file and defaults make, each overruling those named after it. A variable
 * that is empty counts as absent.
 *
 * @throws CONFIG_INVALID naming the key, variable or flag
 */
export function parseConfig({ env, file, flags = {} }: ConfigSources): RegistryConfig {
  const document = file === undefined ? {} : parseDocument(file)
  const given = new Map<string, unknown>()
  for (const source of [
    fromDocument(document, ({ key }) => key),
    fromEnvironment(env),
    fromDocument(flags, ({ key, flag }) => (flag === undefined ? key : `--${flag}`)),
  ]) {
    for (const named of NAMED_SETTINGS) {
      const value = source.values.get(named.key)
      if (value !== undefined) given.set(named.key, checked(named, value, source.nameOf(named)))
    }
  }
  const config = Object.freeze(assembled(given)) as unknown as RegistryConfig
  checkConfig(config)
  return config
}

/** `parseConfig` on the file at `path`, or at `DRAY_CONFIG`, if either is given. @throws CONFIG_INVALID */
export function loadConfig(
  sources: Omit<ConfigSources, 'file'> & { readonly path?: string | undefined },
): RegistryConfig {
  const path = sources.path ?? (sources.env.DRAY_CONFIG || undefined)
  if (path === undefined) return parseConfig(sources)
  try {
    return parseConfig({ ...sources, file: readFileSync(path) })
  } catch (error) {
    const { message } = error as Error
    throw new DrayError('CONFIG_INVALID', `cannot use config file ${path}: ${message}`, {
      cause: error,
    })
  }
}

function checked({ setting }: NamedSetting, value: unknown, name: string): unknown {
  const result = setting.schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const place = [name, ...(issue?.path ?? [])].join('.')
  throw new DrayError('CONFIG_INVALID', `invalid ${place}: ${issue?.message ?? 'not understood'}`)
}

/** The object that the table describes, with defaults where nothing was given. */
function assembled(given: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const config: Record<string, unknown> = {}
  for (const named of NAMED_SETTINGS) {
    const [name, inner] = named.path
    const value = given.get(named.key) ?? defaultOf(named)
    if (inner === undefined) config[name] = value
    else config[name] = { ...(config[name] as object), [inner]: value }
  }
  for (const [name, entry] of Object.entries(SETTINGS)) {
    if (isSection(entry) && !isPresent(name, entry.needs, given)) config[name] = undefined
    Object.freeze(config[name])
  }
  return config
}

function defaultOf({ setting }: NamedSetting): unknown {
  return setting.default === undefined ? undefined : setting.schema.parse(setting.default)
}

/** @throws CONFIG_INVALID when a section is there in part */
function isPresent(
  name: string,
  needs: readonly string[],
  given: ReadonlyMap<string, unknown>,
): boolean {
  const missing = needs.find((need) => !given.has(`${name}.${need}`))
  if (missing === undefined) return true
  if (![...given.keys()].some((key) => key.startsWith(`${name}.`))) return false
  throw new DrayError(
    'CONFIG_INVALID',
    `${name}.${missing} is missing: other keys of ${name} are set`,
  )
}
