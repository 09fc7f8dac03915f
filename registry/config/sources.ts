import { DrayError, errorMessage } from '#oci/error.ts'
import { parseJson } from '#oci/json.ts'
import { nearestName } from './nearest.ts'
import { isSection, type NamedSetting, namedSettings } from './setting.ts'
import { SETTINGS } from './settings.ts'

/** What one source says: values by key, not checked yet, and what the source calls each key. */
export interface Source {
  readonly values: ReadonlyMap<string, unknown>
  nameOf(setting: NamedSetting): string
}

/** Every setting, with all of its names. */
export const NAMED_SETTINGS = namedSettings(SETTINGS)

const FILE_LIMIT = 1024 * 1024

/** @throws CONFIG_INVALID */
export function parseDocument(bytes: Uint8Array): unknown {
  return parseJson(bytes, { code: 'CONFIG_INVALID', maxBytes: FILE_LIMIT })
}

/** A document of the form of the config file. @throws CONFIG_INVALID for keys that don't exist */
export function fromDocument(document: unknown, nameOf: Source['nameOf']): Source {
  const values = new Map<string, unknown>()
  const table: Readonly<Record<string, unknown>> = SETTINGS
  for (const [name, value] of membersOf(document, 'the configuration')) {
    const entry = Object.hasOwn(table, name) ? SETTINGS[name as keyof typeof SETTINGS] : undefined
    if (entry === undefined) throw unknownKey(name)
    if (!isSection(entry)) values.set(name, value)
    else if (value !== undefined) {
      for (const [inner, each] of membersOf(value, name)) {
        if (!Object.hasOwn(entry.settings, inner)) throw unknownKey(`${name}.${inner}`)
        values.set(`${name}.${inner}`, each)
      }
    }
  }
  return { values, nameOf }
}

/** An empty variable counts as absent. @throws CONFIG_INVALID, also for one that is nearly a known one */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>): Source {
  const values = new Map<string, unknown>()
  for (const name of Object.keys(env)) checkVariable(name)
  for (const named of NAMED_SETTINGS) {
    const text = env[named.variable]
    if (text !== undefined && text !== '') values.set(named.key, valueOfText(named, text))
  }
  return { values, nameOf: ({ variable }) => variable }
}

/** What variables are called, and what they would be called if they were made of their flags. */
const VARIABLES = new Map(
  NAMED_SETTINGS.flatMap(({ key, variable, flag = key }) => [
    [variable, variable],
    [`DRAY_${flag.replaceAll('-', '_').toUpperCase()}`, variable],
  ]),
)
const KNOWN_VARIABLES: ReadonlySet<string> = new Set(VARIABLES.values())

/** Others than ours begin so, too: Kubernetes makes `DRAY_PORT` for a service `dray`. */
function checkVariable(name: string): void {
  if (!name.startsWith('DRAY_') || KNOWN_VARIABLES.has(name)) return
  const nearest = nearestName(name, [...VARIABLES.keys()])
  if (nearest === undefined) return
  throw new DrayError(
    'CONFIG_INVALID',
    `there is no variable ${name}; did you mean ${VARIABLES.get(nearest)}?`,
  )
}

/** What a setting's text stands for; what can't be read stays text, which the setting's check refuses. */
export function valueOfText({ setting: { kind }, variable }: NamedSetting, text: string): unknown {
  if (kind === 'number') return /^[0-9]{1,15}$/.test(text) ? Number(text) : text
  if (kind === 'boolean') return text === 'true' || (text === 'false' ? false : text)
  if (kind === 'text') return text
  try {
    return parseDocument(Buffer.from(text))
  } catch (cause) {
    throw new DrayError('CONFIG_INVALID', `invalid ${variable}: ${errorMessage(cause)}`, { cause })
  }
}

function membersOf(value: unknown, what: string): [string, unknown][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value)
  }
  throw new DrayError('CONFIG_INVALID', `${what} must be an object`)
}

function unknownKey(key: string): DrayError {
  const names = [...Object.keys(SETTINGS), ...NAMED_SETTINGS.map((named) => named.key)]
  const nearest = nearestName(key, names)
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  return new DrayError('CONFIG_INVALID', `there is no key ${JSON.stringify(key)}${hint}`)
}
