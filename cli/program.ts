import { type Argument, Command, CommanderError, Option } from 'commander'
import { exitCodeOf } from '#runner/exit-code.ts'
import type { StoreOptions } from './commands/options.ts'
import { takeFlagForms } from './flag-forms.ts'
import { Interrupted } from './interrupt.ts'
import { sayFailure } from './output/failure.ts'
import { say } from './output/print.ts'
import { asToldError } from './output/system-error.ts'
import { rootDir } from './root-dir.ts'
import { refuseVerbOfOthers } from './verbs-of-others.ts'
import { version } from './version.ts'

/** Commands by their names, in the order of the help. Each is loaded when it is needed, for a command line's words. */
export type Commands = Readonly<Record<string, (words: readonly string[]) => Promise<Command>>>

const DEBUG = 'print where errors come from'

type Hook = (program: Command, action: Command) => Promise<void> | void

/**
 * The program, with those of the commands that a command line may mean: the one that it names, or else all.
 *
 * @param onAction hears of the command before it runs
 */
async function createProgram(
  argv: readonly string[],
  commands: Commands,
  onAction: Hook,
): Promise<Command> {
  const program = new Command('dray')
    .description('Container images, from a push to a running process')
    .version(`dray ${version()}`, '-v, --version', 'print the version')
    .option('--debug', DEBUG)
    .addOption(new Option('--root <dir>', 'directory of the local store').hideHelp())
    .enablePositionalOptions()
    .showHelpAfterError(tellsMore('dray'))
    .configureHelp({
      optionDescription: (option) => describe(option, option.negate),
      argumentDescription: (argument) => describe(argument),
    })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'dray: ')) })
    .exitOverride()
    .hook('preAction', handOnGlobals)
    .hook('preAction', onAction)
    .hook('preAction', goWhereTheStoreIs)
  for (const command of await Promise.all(
    namesFor(argv, commands).map((name) => commands[name]?.(argv)),
  )) {
    if (command === undefined) continue
    program.addCommand(inheriting(command, program, 'dray'), { hidden: command.name() === 'ended' })
  }
  return program
}

/** A command, and those below it, with the settings of the one above, which Commander gives to those alone that it makes itself. */
function inheriting(command: Command, parent: Command, parentName: string): Command {
  const name = `${parentName} ${command.name()}`
  command.copyInheritedSettings(parent).showHelpAfterError(tellsMore(name))
  if (command.commands.length === 0) command.addOption(new Option('--debug', DEBUG).hideHelp())
  for (const part of command.commands) inheriting(part, command, name)
  return command
}

function tellsMore(name: string): string {
  return `(${name} --help tells more)`
}

/** What stands before a verb counts as what stands after it. */
function handOnGlobals(program: Command, action: Command): void {
  const { root } = program.opts<StoreOptions>()
  if (root !== undefined && action.opts<StoreOptions>().root === undefined) {
    action.setOptionValue('root', root)
  }
  if (action.opts().debug === true) program.setOptionValue('debug', true)
}

/** An ordinary user's containers live in namespaces of its own. */
async function goWhereTheStoreIs(_: Command, action: Command): Promise<void> {
  const root = storeOf(action)
  if (process.getuid?.() === 0 || root === undefined) return
  const { enterNamespaces } = await import('./rootless/enter.ts')
  const group = nameOf(action)
  await enterNamespaces(root, group === 'container' ? action.name() : group, action.name())
}

/** The local store that a command works with, if it does with one. */
function storeOf(action: Command): string | undefined {
  if (!action.options.some(({ long }) => long === '--root')) return undefined
  return rootDir(action.opts<StoreOptions>().root)
}

/** Of the command that it belongs to, if it is a part of one. */
function nameOf(command: Command): string {
  const { parent } = command
  return parent === null || parent.parent === null ? command.name() : nameOf(parent)
}

function namesFor(argv: readonly string[], commands: Commands): readonly string[] {
  const [named = ''] = verbsOf(argv)
  if (named === '-v' || named === '--version') return []
  return Object.hasOwn(commands, named) ? [named] : Object.keys(commands)
}

/** The words of a command line from the verb on. */
function verbsOf([, , ...words]: readonly string[]): readonly string[] {
  let at = 0
  while (/^--(?:debug|root)(?:=|$)/.test(words[at] ?? '')) at += words[at] === '--root' ? 2 : 1
  return words.slice(at)
}

/** The own words of an option or argument, without a default that is nothing. */
function describe(described: Option | Argument, isSwitchedOff = false): string {
  const { description, defaultValue: value } = described
  const variable = 'envVar' in described ? described.envVar : undefined
  const choices =
    described.argChoices === undefined ? [] : [`choices: ${described.argChoices.join(', ')}`]
  const isNothing =
    value === undefined ||
    value === false ||
    (typeof value === 'object' && Object.keys(value).length === 0)
  const facts = [
    ...choices,
    ...(isNothing || isSwitchedOff ? [] : [`default: ${value}`]),
    ...(variable === undefined ? [] : [`environment: ${variable}`]),
  ]
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`
}

/** Is this process's program. */
export async function main(commands: Commands): Promise<void> {
  // All is said and done then: taking the heap apart as well would take ten milliseconds.
  process.once('beforeExit', () => process.exit())
  await run(process.argv, commands)
}

/** Runs one command line. Sets the exit code of the process; errors end here. */
export async function run(argv: readonly string[], commands: Commands): Promise<void> {
  process.stdout.on('error', endWithReader)
  let root: string | undefined
  const program = await createProgram(argv, commands, (_, action) => {
    root = storeOf(action)
  })
  for (const command of everyCommand(program)) takeFlagForms(command)
  try {
    const [verb = ''] = verbsOf(argv)
    if (!Object.hasOwn(commands, verb)) refuseVerbOfOthers(verb)
    await program.parseAsync([...argv])
  } catch (error) {
    process.exitCode = report(error, {
      failed: failureCode(error, argv),
      debug: program.opts().debug === true,
      root,
    })
  }
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}

/** Whoever read the output, such as head(1), has had enough; or the disk has. */
function endWithReader({ code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') process.exit(process.exitCode)
  say(`dray: cannot write to standard output: ${message}`)
  process.exit(1)
}

interface ReportOptions {
  /** The exit code for what isn't help that was asked for. */
  readonly failed: number
  readonly debug: boolean
  /** Where the store is, if there is one. */
  readonly root: string | undefined
}

function report(error: unknown, { failed, debug, root }: ReportOptions): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : failed
  if (error instanceof Interrupted) {
    say('dray: interrupted')
    return error.exitCode
  }
  const known = asToldError(error, root)
  if (known === undefined) {
    say(`dray: unexpected error, please report it: ${error instanceof Error ? error.stack : error}`)
    return failed
  }
  sayFailure(known, debug)
  return failed
}

/** 1, but for what runs a command, which has codes of its own for what the command never got to. */
function failureCode(error: unknown, argv: readonly string[]): number {
  const [first = '', second = ''] = verbsOf(argv)
  const verb = first === 'container' ? second : first
  return ['run', 'exec', 'healthcheck'].includes(verb) ? exitCodeOf(error) : 1
}
