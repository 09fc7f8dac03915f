import { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { AttachStreams } from '#runner/verbs/attach.ts'
import { readIdFile } from '../cidfile.ts'
import { openContainer, runnerContext } from '../containers.ts'
import { readLines } from '../read-lines.ts'
import { collect, type StoreOptions, withExamples, withStoreOptions } from './options.ts'

interface ExecOptions extends StoreOptions {
  readonly interactive?: true
  readonly tty?: true
  readonly detach?: true
  readonly privileged?: true
  readonly env: readonly string[]
  readonly envFile: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly detachKeys?: string
  readonly cidfile?: string
}

export function execCommand(): Command {
  const command = new Command('exec')
    .description('Run one more command in a container that runs')
    .argument('<container>', 'name or id, unless --cidfile says it')
    .argument('[command...]', 'command and arguments')
    .passThroughOptions()
    .option('-i, --interactive', 'hand standard input to it')
    .option('-t, --tty', 'give it a terminal')
    .option('-d, --detach', 'in the background, without its output')
    .option('--privileged', 'with all capabilities')
    .option(
      '-e, --env <K[=V]>',
      'environment variable; K alone takes the value from here (repeatable)',
      collect,
      [],
    )
    .option('--env-file <file>', 'environment variables, one a line (repeatable)', collect, [])
    .option('-w, --workdir <dir>', 'working directory')
    .option('-u, --user <user[:group]>', 'names of the image, or numbers')
    .option('--cidfile <file>', 'the container whose id a file of run --cidfile holds')
    .option(
      '--detach-keys <keys>',
      'keys that leave it to itself, with -it (default: ctrl-p,ctrl-q)',
    )
  return withExamples(withStoreOptions(command), [
    ['dray exec -it web sh', 'a shell beside what runs'],
    ['dray exec -u postgres db psql -c "select 1"', 'one command, as another user'],
  ]).action(exec)
}

async function exec(first: string, others: readonly string[], options: ExecOptions): Promise<void> {
  const inFile =
    options.cidfile === undefined ? undefined : await readIdFile(options.cidfile, false)
  const reference = inFile ?? first
  const command = inFile === undefined ? others : [first, ...others]
  if (command.length === 0) throw new DrayError('USAGE', 'no command to run: dray exec web sh')
  const { stdin, stdout, stderr } = process
  if (options.tty && !options.detach && ![stdin, stdout, stderr].some((stream) => stream.isTTY)) {
    throw new DrayError('USAGE', 'there is no terminal here to hand on: leave out -t')
  }
  const streams = await streamsToLeave(options)
  const { execInContainer } = await import('#runner/verbs/exec.ts')
  const context = runnerContext(options)
  const container = await openContainer(context.root, reference)
  const env = [...(await readLines(options.envFile)), ...options.env]
  process.exitCode = await execInContainer(
    container,
    { ...options, command, env, streams },
    context,
  )
}

/** The terminal here, for a command that the keys to detach are to leave. @throws USAGE for keys that there are not */
async function streamsToLeave(options: ExecOptions): Promise<AttachStreams | undefined> {
  const { stdin: input, stdout: output, stderr: errors } = process
  const isInteractive = options.interactive && options.tty && !options.detach
  const isAtTerminal = isInteractive && input.isTTY && output.isTTY
  if (!isAtTerminal && options.detachKeys === undefined) return undefined
  const { parseDetachKeys, DEFAULT_DETACH_KEYS } = await import('#runner/monitor/detach-keys.ts')
  const detachKeys = parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS)
  if (!isAtTerminal || detachKeys.length === 0) return undefined
  return { input, output, errors, terminal: { input, output }, detachKeys }
}
