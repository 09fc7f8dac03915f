import { Command, CommanderError } from 'commander'
import { isDrayError } from '#oci/error.ts'
import { imagesCommand } from './commands/images.ts'
import { importCommand } from './commands/import.ts'
import { infoCommand } from './commands/info.ts'
import { pullCommand } from './commands/pull.ts'
import { pushCommand } from './commands/push.ts'
import { registryCommand } from './commands/registry.ts'
import { runCommand } from './commands/run.ts'
import { serveCommand } from './commands/serve.ts'
import { Interrupted } from './interrupt.ts'
import { say } from './output/print.ts'
import { version } from './version.ts'

/** Commands whose options come of the table of a registry's settings. */
const OF_REGISTRY = ['serve']

/** What `words` don't name may lack its options: those of a registry cost a tenth of a second. */
export async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command('dray')
    .description('Container images, from a push to a running process')
    .version(`dray ${version()}`, '-v, --version', 'print the version')
    .option('--debug', 'print where errors come from')
    .enablePositionalOptions()
    .showHelpAfterError('(dray --help tells more)')
  for (const command of [
    serveCommand(),
    registryCommand(),
    importCommand(),
    pushCommand(),
    pullCommand(),
    imagesCommand(),
    runCommand(),
    infoCommand(),
  ]) {
    program.addCommand(command.copyInheritedSettings(program))
    if (OF_REGISTRY.includes(command.name()) && words.includes(command.name())) {
      const { addRegistryOptions } = await import('./commands/registry-options.ts')
      addRegistryOptions(command)
    }
  }
  return program
}

/** Runs one command line. Sets the exit code of the process; errors end here. */
export async function run(argv: readonly string[]): Promise<void> {
  const program = await createProgram(argv)
  program.exitOverride()
  for (const command of [program, ...program.commands].flatMap((each) => each.commands)) {
    command.exitOverride()
  }
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    process.exitCode = report(error, await exitCodeOf(error, argv), program.opts().debug === true)
  }
}

function report(error: unknown, failed: number, debug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : failed
  if (error instanceof Interrupted) {
    say('dray: interrupted')
    return error.exitCode
  }
  if (!isDrayError(error)) {
    say(`dray: unexpected error, please report it: ${error instanceof Error ? error.stack : error}`)
    return failed
  }
  say(`dray: ${error.message}`)
  if (debug)
    say(
      `${error.code}\n${error.stack}${error.cause === undefined ? '' : `\ncaused by: ${error.cause}`}`,
    )
  return failed
}

/** 1, but for `dray run`, which has codes of its own for what the container never got to. */
async function exitCodeOf(error: unknown, argv: readonly string[]): Promise<number> {
  if (argv[2] !== 'run') return 1
  const runner = await import('#runner/index.ts')
  return runner.exitCodeOf(error)
}
