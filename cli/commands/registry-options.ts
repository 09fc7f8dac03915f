import { type Command, InvalidArgumentError, Option } from 'commander'
import type { NamedSetting } from '#registry/config/setting.ts'
import { NAMED_SETTINGS, valueOfText } from '#registry/config/sources.ts'
import type { ConfigDocument } from '#registry/index.ts'

export interface RegistryOptions {
  readonly config?: string
}

/** Gives a command every option that a registry has, out of the table of settings, and `--config`. */
export function addRegistryOptions(command: Command): Command {
  for (const named of NAMED_SETTINGS) {
    for (const option of optionsOf(named)) command.addOption(option)
  }
  return command.option(
    '--config <file>',
    'config file, in JSON (environment: DRAY_CONFIG); flags, and DRAY_* of single keys, overrule it',
  )
}

/** What the flags say, in the form of a config file. */
export function flagsOf(options: object): ConfigDocument {
  const given: Readonly<Record<string, unknown>> = { ...options }
  const document: Record<string, unknown> = {}
  for (const named of NAMED_SETTINGS) {
    const [option] = optionsOf(named)
    const value = option === undefined ? undefined : given[option.attributeName()]
    if (value === undefined) continue
    const [name, inner] = named.path
    if (inner === undefined) document[name] = value
    else document[name] = { ...(document[name] as object), [inner]: value }
  }
  return document
}

function optionsOf(named: NamedSetting): Option[] {
  const { flag, setting } = named
  if (flag === undefined) return []
  const { kind, summary, argument = 'value', collect } = setting
  if (kind === 'boolean') {
    // Of the two only the one that changes something is in the help.
    const options = [
      new Option(`--${flag}`, summary),
      new Option(`--no-${flag}`, `not: ${summary}`),
    ]
    options[setting.default === true ? 0 : 1]?.hideHelp()
    return options
  }
  const repeated = collect === undefined ? '' : ' (repeatable)'
  const option = new Option(`--${flag} <${argument}>`, summary + repeated + defaultOf(named))
  return [
    option.argParser((text: string, values: unknown) => {
      if (collect === undefined) return valueOfText(named, text)
      const collected = collect(text, values)
      if (collected === undefined) throw new InvalidArgumentError(`It must be <${argument}>.`)
      return collected
    }),
  ]
}

function defaultOf({ setting }: NamedSetting): string {
  const text = setting.defaultText ?? String(setting.default ?? '')
  return text === '' || text === 'none' ? '' : ` (default: ${text.replaceAll('`', '')})`
}
