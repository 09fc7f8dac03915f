/** Writes the tables of docs/configuration.md anew, from the settings that the registry knows: `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NamedSetting } from '#registry/config/setting.ts'
import { NAMED_SETTINGS } from '#registry/config/sources.ts'

export const PAGE = join(import.meta.dirname, '../docs/configuration.md')

const TABLE = /(<!-- settings -->\n)[\s\S]*?(\n<!-- end of settings -->)/

/** The page as it should be. */
export function configurationPage(): string {
  const page = readFileSync(PAGE, 'utf8')
  if (!TABLE.test(page)) throw new Error(`${PAGE} has no place for the table of settings`)
  return page.replace(TABLE, (_, start, end) => `${start}\n${table()}\n${end}`)
}

function table(): string {
  return [
    '| Key | Environment variable | Flag | Default | Meaning |',
    '| --- | --- | --- | --- | --- |',
    ...NAMED_SETTINGS.map(row),
  ].join('\n')
}

function row(named: NamedSetting): string {
  const { key, variable, flag, setting } = named
  const { kind, argument = 'value', summary, details } = setting
  const shownFlag =
    flag === undefined
      ? 'none'
      : kind !== 'boolean'
        ? `\`--${flag} <${argument}>\``
        : `\`--${setting.default === true ? 'no-' : ''}${flag}\``
  const [first = '', ...rest] = summary
  const meaning = `${first.toUpperCase()}${rest.join('')}.${details === undefined ? '' : ` ${details}`}`
  const cells = [`\`${key}\``, `\`${variable}\``, shownFlag, defaultOf(named), meaning]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function defaultOf({ setting }: NamedSetting): string {
  if (setting.defaultText !== undefined) return setting.defaultText
  if (setting.default === undefined) return 'none'
  return setting.default === '' ? 'empty' : `\`${setting.default}\``
}

if (process.argv[1] === import.meta.filename) writeFileSync(PAGE, configurationPage())
