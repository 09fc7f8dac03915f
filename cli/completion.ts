import type { Command } from 'commander'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** What may be typed after some words of a command line. */
export interface Completion {
  /** `network create`; empty for the program itself. */
  readonly path: string
  /** Subcommands, or options. */
  readonly words: readonly string[]
  /** Whose names are its arguments. */
  readonly names: readonly Kind[]
}

type Kind = 'container' | 'image' | 'network' | 'volume'

/** How each kind of thing lists its names. */
const LISTS: Readonly<Record<Kind, string>> = {
  container: "dray ps -a --format '{{.Names}}'",
  // Those of Docker Hub as people type them, too.
  image: `dray images -f dangling=false --format '{{.Name}}' | sed -nE 'p; s,^docker[.]io/(library/)?,,p'`,
  network: 'dray network ls -q',
  volume: 'dray volume ls -q',
}

const KINDS = Object.keys(LISTS) as readonly Kind[]

/** What may be typed after a command, and after each of its own. The table is all that is read. */
export function completionsOf(command: Command, path = ''): Completion[] {
  const own = command.options.flatMap(({ long, short }) => long ?? short ?? [])
  const below = command.commands.filter((each) => each.name() !== 'ended')
  const words = below.length > 0 ? below.map((each) => each.name()) : [...own, '--help']
  return [
    { path, words, names: kindsOf(command) },
    ...below.flatMap((each) =>
      completionsOf(each, path === '' ? each.name() : `${path} ${each.name()}`),
    ),
  ]
}

/** What a command's arguments name, if the first one does name something. */
function kindsOf({ registeredArguments }: Command): Kind[] {
  const names = registeredArguments.map((argument) => argument.name())
  if (names[0] === 'thing') return [...KINDS]
  const kinds = KINDS.filter((kind) => names.includes(kind))
  return kinds.some((kind) => kind === names[0]) ? kinds : []
}

/** A script that teaches a shell what may be typed. Pure. */
export function completionScript(shell: Shell, all: readonly Completion[]): string {
  return { bash, zsh, fish }[shell](all)
}

function bash(all: readonly Completion[]): string {
  return `# dray: completion for bash
declare -A _dray_words=(
${all.map(({ path, words }) => `  ['.${path}']='${words.join(' ')}'`).join('\n')}
)
declare -A _dray_names=(
${namesOf(all)
  .map(([path, kind]) => `  ['.${path}']='${kind}'`)
  .join('\n')}
)
${listFunction()}
_dray() {
  local at='.' next word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $at == . ]] && next=".$word" || next="$at $word"
    [[ -n \${_dray_words[$next]} ]] && at=$next
  done
  # For readline a word ends at a colon, for dray it doesn't.
  word=\${COMP_LINE:0:COMP_POINT}
  word=\${word##*[[:space:]]}
  words=\${_dray_words[$at]}
  [[ $word != -* && -n \${_dray_names[$at]} ]] && words=$(_dray_list \${_dray_names[$at]})
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("\${COMPREPLY[@]#"\${word%"\${word##*:}"}"}")
}
complete -o default -F _dray dray
`
}

function zsh(all: readonly Completion[]): string {
  return `#compdef dray
# dray: completion for zsh
typeset -gA _dray_words _dray_names
_dray_words=(
${all.map(({ path, words }) => `  '.${path}' '${words.join(' ')}'`).join('\n')}
)
_dray_names=(
${namesOf(all)
  .map(([path, kind]) => `  '.${path}' '${kind}'`)
  .join('\n')}
)
${listFunction()}
_dray() {
  local at='.' next word
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    [[ $at == . ]] && next=".$word" || next="$at $word"
    [[ -n \${_dray_words[$next]} ]] && at=$next
  done
  if [[ \${words[CURRENT]} != -* && -n \${_dray_names[$at]} ]]; then
    compadd -- \${(f)"$(_dray_list \${=_dray_names[$at]})"} && return
  else
    compadd -- \${=_dray_words[$at]} && return
  fi
  _files
}
compdef _dray dray
`
}

function fish(all: readonly Completion[]): string {
  const lines = all.flatMap(({ path, words, names }) => {
    const when = `complete -c dray -n 'test (__dray_at) = ".${path}"'`
    const verbs = words.filter((word) => !word.startsWith('-'))
    const offered =
      verbs.length > 0
        ? verbs.join(' ')
        : names.map((kind) => `(${LISTS[kind].replaceAll("'", '"')})`).join(' ') || undefined
    return [
      ...(offered === undefined ? [] : [`${when} -f -a '${offered}'`]),
      ...words.filter((word) => word.startsWith('--')).map((word) => `${when} -l ${word.slice(2)}`),
    ]
  })
  return `# dray: completion for fish
set -g __dray_paths ${all.map(({ path }) => `'.${path}'`).join(' ')}
function __dray_at
  set -l at .
  for word in (commandline -opc)[2..-1]
    set -l next "$at $word"
    test "$at" = . && set next ".$word"
    contains -- $next $__dray_paths && set at $next
  end
  echo $at
end
${lines.join('\n')}
`
}

function namesOf(all: readonly Completion[]): (readonly [path: string, kinds: string])[] {
  return all.flatMap(({ path, names }) =>
    names.length === 0 ? [] : [[path, names.join(' ')] as const],
  )
}

/** Understood by bash and zsh. */
function listFunction(): string {
  const cases = Object.entries(LISTS).map(([kind, list]) => `    ${kind}) ${list} ;;`)
  return `_dray_list() {\n  local kind\n  for kind; do case $kind in\n${cases.join('\n')}\n  esac; done 2>/dev/null\n}`
}
