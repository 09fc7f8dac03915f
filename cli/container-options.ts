import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { ContainerOptions } from '#runner/options.ts'
import { collect, seconds } from './commands/options.ts'

/** How a container is to be run, as typed. */
export interface ContainerFlags {
  readonly name?: string
  readonly interactive?: true
  readonly tty?: true
  readonly env: readonly string[]
  readonly envFile: readonly string[]
  readonly label: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly volume: readonly string[]
  readonly hostname?: string
  readonly network: 'none' | 'host'
  readonly memory?: string
  readonly cpus?: string
  readonly pidsLimit?: string
  readonly readOnly?: true
  readonly entrypoint?: string
  readonly rm?: true
  readonly restart?: string
  readonly stopSignal?: string
  readonly stopTimeout?: number
  readonly logDriver?: string
  readonly logOpt: readonly string[]
  readonly runtime?: string
  readonly cidfile?: string
}

/** The flags that `create` and `run` have in common. */
export function withContainerFlags(command: Command): Command {
  return command
    .option('--name <name>', 'name of the container (default: one that is made up)')
    .option('-i, --interactive', 'hand standard input to the container')
    .option('-t, --tty', 'give it a terminal')
    .option(
      '-e, --env <K[=V]>',
      'environment variable; K alone takes the value from here (repeatable)',
      collect,
      [],
    )
    .option('--env-file <file>', 'environment variables, one a line (repeatable)', collect, [])
    .option('-l, --label <K=V>', 'label (repeatable)', collect, [])
    .option('-w, --workdir <dir>', 'working directory')
    .option('-u, --user <user[:group]>', 'names of the image, or numbers')
    .option(
      '-v, --volume <host:container[:ro]>',
      'show a directory or file of the host inside (repeatable)',
      collect,
      [],
    )
    .option('--hostname <name>', 'host name inside')
    .option(
      '--network <mode>',
      'none: a loopback interface only; host: the network of the host',
      'none',
    )
    .option('-m, --memory <size>', 'memory limit, such as 512m')
    .option('--cpus <number>', 'CPU limit, such as 1.5')
    .option('--pids-limit <number>', 'most processes and threads (default: 2048)')
    .option('--read-only', 'refuse writes to the root file system')
    .option('--entrypoint <program>', 'program to run instead of the entrypoint of the image')
    .option('--rm', 'remove the container when it has ended')
    .option(
      '--restart <policy>',
      'start it again when it has ended: no, on-failure[:N], always, unless-stopped (default: no)',
    )
    .option(
      '--stop-signal <signal>',
      'what asks it to stop (default: that of the image, else TERM)',
    )
    .option('--stop-timeout <seconds>', 'how long it may take to stop (default: 10)', seconds)
    .option('--log-driver <driver>', 'k8s-file, journald or none (default: k8s-file)')
    .option('--log-opt <key=value>', 'max-size=16m, tag=TEXT (repeatable)', collect, [])
    .option('--cidfile <file>', "write the container's id to a new file")
    .option(
      '--runtime <program>',
      'OCI runtime: a name or a path (default: crun or runc, whichever works here)',
    )
}

/** The options that flags stand for. @throws USAGE */
export async function containerOptions(
  image: string,
  command: readonly string[],
  flags: ContainerFlags,
): Promise<ContainerOptions> {
  const { parseCpus, parseMemory, parsePidsLimit, parseVolume } = await import('#runner/index.ts')
  const { parseRestartPolicy } = await import('#runner/options.ts')
  const { parseLogOptions } = await import('#runner/log/options.ts')
  const { memory, cpus, pidsLimit, entrypoint, restart } = flags
  if (flags.rm && restart !== undefined && restart !== 'no') {
    throw new DrayError('USAGE', '--rm and --restart exclude each other')
  }
  return {
    image,
    name: flags.name,
    command,
    entrypoint: entrypoint === undefined ? undefined : [entrypoint],
    env: [...(await readEnvFiles(flags.envFile)), ...flags.env],
    labels: Object.fromEntries(flags.label.map(labelOf)),
    workdir: flags.workdir,
    user: flags.user,
    hostname: flags.hostname,
    network: flags.network,
    volumes: flags.volume.map(parseVolume),
    readOnly: flags.readOnly,
    tty: flags.tty,
    interactive: flags.interactive,
    memory: memory === undefined ? undefined : parseMemory(memory),
    cpus: cpus === undefined ? undefined : parseCpus(cpus),
    pidsLimit: pidsLimit === undefined ? undefined : parsePidsLimit(pidsLimit),
    autoRemove: flags.rm,
    restart: restart === undefined ? undefined : parseRestartPolicy(restart),
    stopSignal: flags.stopSignal,
    stopTimeout: flags.stopTimeout,
    log: parseLogOptions(flags.logDriver, flags.logOpt),
  }
}

/** Lines of `KEY=VALUE` or `KEY`, as docker reads them: no quotes, no expansion, # begins a comment line. */
async function readEnvFiles(paths: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(paths.map(readText))
  return texts
    .flatMap((text) => text.split('\n'))
    .map((line) => line.trimStart().replace(/\r$/, ''))
    .filter((line) => line !== '' && !line.startsWith('#'))
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new DrayError('USAGE', `cannot read ${path}: ${errorMessage(cause)}`, { cause })
  }
}

/** A label without a value is empty. */
function labelOf(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals === 0)
    throw new DrayError('USAGE', `invalid label ${JSON.stringify(text)}: write KEY=VALUE`)
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
}
