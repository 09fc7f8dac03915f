import type { Command, Option } from 'commander'
import { DrayError } from '#oci/error.ts'

/** Other names of flags, which docker and podman don't list. */
const ALIASES: Readonly<Record<string, string>> = {
  '--net': '--network',
  '--net-alias': '--network-alias',
  '--dns-opt': '--dns-option',
  '--timeout': '--time',
  '--all': '--all-platforms',
}
/** What docker and podman take for a boolean. */
const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True']
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False']

/** A flag that is on, with how it is written, or a word as it was typed. */
type Word = string | Option

/**
 * Has a command take flags in the forms that docker and podman know besides: `--rm=false`, `-t=0`, `-itd=false`, of which the last
 * one counts, `-p=80:80`, and `--net`.
 */
export function takeFlagForms(command: Command): void {
  const parse = command.parseOptions.bind(command)
  command.parseOptions = (typed) => {
    const { words, off } = plainWords(command, typed)
    const parsed = parse(words.map((word) => (typeof word === 'string' ? word : nameOf(word))))
    for (const option of off) {
      if (option.defaultValue === true && !option.negate) {
        command.setOptionValueWithSource(option.attributeName(), false, 'cli')
      }
    }
    return parsed
  }
}

/** The words without values of booleans, and which of those are switched off. @throws USAGE */
function plainWords(command: Command, typed: readonly string[]) {
  let words: Word[] = []
  const off = new Set<Option>()
  const find = (flag: string) =>
    command.options.find(({ short, long }) => short === flag || long === flag)
  const set = (option: Option, flag: string, value = 'true') => {
    words = words.filter((word) => word !== option)
    off.delete(option)
    if (parseBoolean(flag, value)) words.push(option)
    else off.add(option)
  }
  const hasOwnWords = isFollowedByOwnWords(command)
  const rest = [...typed]
  while (rest.length > 0) {
    const word = rest.shift() ?? ''
    if (!/^-./.test(word)) {
      words.push(word)
      if (hasOwnWords) break
    } else if (word.startsWith('--')) {
      const [, flag = '', value] = /^(--[^=]*)(?:=(.*))?$/s.exec(word) ?? []
      const option = find(flag) ?? find(ALIASES[flag] ?? flag)
      if (option === undefined) words.push(word)
      else if (!takesValue(option)) set(option, flag, value)
      else if (value !== undefined) words.push(`${option.long}=${value}`)
      else words.push(nameOf(option), ...(option.required ? rest.splice(0, 1) : []))
      if (word === '--') break
    } else {
      takeLetters(word)
    }
  }
  return { words: [...words, ...rest], off }

  /** Of a word such as `-it`, `-p80:80` or `-itd=false`. */
  function takeLetters(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const flag = `-${word[at]}`
      const option = find(flag)
      const value = word.slice(at + 1)
      const given = /^=(.+)$/s.exec(value)?.[1]
      if (option === undefined) {
        words.push(`-${word.slice(at)}`)
        return
      }
      if (takesValue(option)) {
        words.push(flag, ...(value === '' ? rest.splice(0, 1) : [given ?? value]))
        return
      }
      set(option, flag, given)
      if (given !== undefined) return
    }
  }
}

/** Whether options end with the first argument: what follows belongs to a part of the command, or is what a container runs. */
function isFollowedByOwnWords({ commands, registeredArguments }: Command): boolean {
  const [, ...others] = registeredArguments
  return commands.length > 0 || others.some(({ variadic }) => variadic)
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional
}

function nameOf({ long, short }: Option): string {
  return long ?? short ?? ''
}

function parseBoolean(flag: string, value: string): boolean {
  if (TRUE.includes(value)) return true
  if (FALSE.includes(value)) return false
  const message = `invalid value ${JSON.stringify(value)} of ${flag}: write true or false`
  throw new DrayError('USAGE', message)
}
