import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { COMMANDS } from '#cli/commands/index.ts'
import { takeFlagForms } from '#cli/flag-forms.ts'

const ROOT = join(import.meta.dirname, '..')

/** The pages for people, each with its text, by its path from the root. */
const PAGES = new Map(
  globSync(['README.md', 'docs/**/*.md'], { cwd: ROOT })
    .sort()
    .map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]),
)

const SOURCES = globSync(
  ['*.*', '{bench,bin,cli,deploy,docs,oci,puller,registry,runner,scripts,test}/**/*'],
  {
    cwd: ROOT,
  },
)

describe('the pages', () => {
  it('link to pages and headings that exist', () => {
    const dead = eachMatch(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g, withoutCode).filter(
      ({ page, found: [, path = '', heading] }) => {
        if (/^\w+:/.test(path)) return false
        const target = path === '' ? page : normalize(join(dirname(page), path))
        if (!existsSync(join(ROOT, target))) return true
        return heading !== undefined && !headingsOf(PAGES.get(target) ?? '').includes(heading)
      },
    )
    assert.deepEqual(dead.map(told), [])
  })

  it('name files of the repository that exist', () => {
    const gone = eachMatch(/`([\w./-]+\.(?:ts|js|sh|cfg|yml|md|service))`/g).filter(
      ({ found: [, named = ''] }) =>
        !SOURCES.some((path) => path === named || path.endsWith(`/${named}`)),
    )
    assert.deepEqual(gone.map(told), [])
  })

  it('name variables of the environment that are read', () => {
    const read = SOURCES.filter((path) => /^(?:cli|registry)\/.*\.ts$/.test(path))
      .map((path) => readFileSync(join(ROOT, path), 'utf8'))
      .join('\n')
    const table = PAGES.get('docs/configuration.md') ?? ''
    const unknown = eachMatch(/\bDRAY_[A-Z_0-9]+\b/g).filter(
      // Those in the table are made from the settings, which another test compares.
      ({ found: [name] }) => !read.includes(name) && !table.includes(`\`${name}\` |`),
    )
    assert.deepEqual(unknown.map(told), [])
  })

  it('show commands that can be typed', async () => {
    const wrong: string[] = []
    let shown = 0
    for (const [page, text] of PAGES) {
      for (const line of shownLines(text)) {
        for (const words of draysIn(line)) {
          shown++
          const why = await whyRefused(words)
          if (why !== undefined) wrong.push(`${page}: dray ${words.join(' ')}: ${why}`)
        }
      }
    }
    assert.deepEqual(wrong, [])
    assert.ok(shown > 100, `only ${shown} were found`)
  })

  it('name options that a command has', async () => {
    const options = new Set(
      (await everyCommand()).flatMap((each) => each.options.map(({ long }) => long)),
    ).add('--help')
    const unknown = eachMatch(/`dray ([^`]*)`/g).flatMap((each) =>
      [...(each.found[1] ?? '').matchAll(/(?<= )--[\w-]+/g)]
        .filter(([flag]) => !options.has(flag))
        .map(([flag]) => `${each.page}: ${flag} in ${each.found[0]}`),
    )
    assert.deepEqual(unknown, [])
  })
})

describe('the help of every verb', () => {
  it('has examples that can be typed', async () => {
    const wrong: string[] = []
    for (const command of await everyCommand()) {
      for (const line of examplesOf(command)) {
        for (const words of draysIn(line)) {
          const why = await whyRefused(words)
          if (why !== undefined) wrong.push(`dray ${words.join(' ')}: ${why}`)
        }
      }
    }
    assert.deepEqual(wrong, [])
  })
})

describe('the reader of shown commands', () => {
  it('finds each dray of a line, with its words as a shell has them', () => {
    const cases: readonly (readonly [line: string, commands: readonly (readonly string[])[]])[] = [
      ['dray ps -a   # all', [['ps', '-a']]],
      ['dray stop a; dray rm a && dray ps', [['stop', 'a'], ['rm', 'a'], ['ps']]],
      ['dray save a | zstd | ssh node dray load', [['save', 'a'], ['load']]],
      ["A=1 dray inspect -f '{{.A}} {{.B}}' x", [['inspect', '-f', '{{.A}} {{.B}}', 'x']]],
      [
        'dray rmi -f $(dray images -q)',
        [
          ['rmi', '-f', 'X'],
          ['images', '-q'],
        ],
      ],
      ['x "$(dray port -a web)" y', [['port', '-a', 'web']]],
      ['dray export web > file.tar', [['export', 'web']]],
      ['systemctl enable dray', []],
    ]
    for (const [line, commands] of cases) assert.deepEqual(draysIn(line), commands, line)
  })
})

interface Match {
  readonly page: string
  readonly found: RegExpExecArray
}

function eachMatch(pattern: RegExp, prepare = (text: string) => text): Match[] {
  return [...PAGES].flatMap(([page, text]) =>
    [...prepare(text).matchAll(pattern)].map((found) => ({ page, found })),
  )
}

function told({ page, found: [text] }: Match): string {
  return `${page}: ${text}`
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

/** What the headings of a page are linked by. */
function headingsOf(text: string): string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)].map(
    ([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
  )
}

/** What is typed at a prompt, of a user or of root, in blocks of a page. */
function shownLines(text: string): string[] {
  return [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
    [...block.matchAll(/^(?:\w+)?[$#] (.*)$/gm)].map(([, line = '']) => line),
  )
}

/** The words after each `dray` that a line of shell runs; what another command would give is X. */
function draysIn(line: string): string[][] {
  const inner: string[][] = []
  const outer = line.replaceAll(/"?\$\(([^()]*)\)"?/g, (_, text: string) => {
    inner.push(...draysIn(text))
    return 'X'
  })
  const commands: string[][] = [[]]
  for (const [token, single, double] of outer.matchAll(
    /'([^']*)'|"((?:\\.|[^"\\])*)"|\s+#.*$|&&|\|\||[;|]|\d?>\s*\S+|\s+|[^\s'";|&>]+|[&>]/g,
  )) {
    const words = commands.at(-1) ?? []
    if (/^\s+#|^\d?>/.test(token)) continue
    if (/^(?:&&|\|\||[;|])$/.test(token)) commands.push([])
    else if (/^\s+$/.test(token)) words.push('')
    else words.push(`${words.pop() ?? ''}${single ?? double ?? token}`)
  }
  const outerDrays = commands
    .map((words) => words.filter((word) => word !== ''))
    .map((words) => ({ words, at: words.indexOf('dray') }))
    .filter(({ words, at }) => at >= 0 && !/^(?:systemctl|apt-get|ls)$/.test(words[0] ?? ''))
    .map(({ words, at }) => words.slice(at + 1))
  return [...outerDrays, ...inner]
}

/** The commands that have no parts, with those that the help doesn't show. */
async function everyCommand(): Promise<Command[]> {
  const parts = (command: Command): Command[] =>
    command.commands.length === 0 ? [command] : command.commands.flatMap(parts)
  const loaded = await Promise.all(Object.entries(COMMANDS).map(([name, load]) => load([name])))
  return loaded.flatMap(parts)
}

function examplesOf(command: Command): string[] {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) })
  command.outputHelp()
  const [, examples = ''] = text.split('\nExamples:\n')
  return examples.split('\n').map((line) => line.trim())
}

/** What is wrong with a command line; undefined if nothing is. */
async function whyRefused(typed: readonly string[]): Promise<string | undefined> {
  const words = [...typed]
  if (words[0] === '--debug') words.shift()
  const name = words.shift() ?? ''
  let command = await COMMANDS[name]?.([name])
  while (command !== undefined && command.commands.length > 0) {
    const part = words.shift() ?? ''
    command = command.commands.find((each) => [each.name(), ...each.aliases()].includes(part))
  }
  if (command === undefined) return 'no such command'
  takeFlagForms(command)
  command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action(() => undefined)
  try {
    await command.parseAsync(words, { from: 'user' })
    return undefined
  } catch (error) {
    if (error instanceof Error) return error.message
    throw error
  }
}
