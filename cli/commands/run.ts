import { Command } from 'commander'
import { isDrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import { parseReference, type Reference } from '#oci/reference.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { Store } from '#puller/index.ts'
import type { ContainerOptions } from '#runner/index.ts'
import { interruptible } from '../interrupt.ts'
import { say } from '../output/print.ts'
import { createProgressView } from '../output/progress.ts'
import { openLocalStore } from '../store.ts'
import { type TransferOptions, withPlatformOption, withTransferOptions } from './options.ts'

interface RunOptions extends TransferOptions {
  readonly platform?: Platform
  readonly rm?: true
  readonly interactive?: true
  readonly tty?: true
  readonly env: readonly string[]
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
  readonly runtime?: string
}

const collect = (value: string, before: readonly string[]) => [...before, value]

export function runCommand(): Command {
  const command = new Command('run')
    .description(
      'Run a command in a new container, in the foreground, and remove the container afterwards',
    )
    .argument('<image>', '[registry/]name[:tag][@digest]; pulled when it is not in the local store')
    .argument('[command...]', 'command and arguments instead of those of the image')
    .passThroughOptions()
    .option('--rm', 'remove the container afterwards (which is always done)')
    .option('-i, --interactive', 'hand standard input to the container')
    .option('-t, --tty', 'give it a terminal')
    .option(
      '-e, --env <K[=V]>',
      'environment variable; K alone takes the value from here (repeatable)',
      collect,
      [],
    )
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
    .option('--memory <size>', 'memory limit, such as 512m')
    .option('--cpus <number>', 'CPU limit, such as 1.5')
    .option('--pids-limit <number>', 'most processes and threads (default: 2048)')
    .option('--read-only', 'refuse writes to the root file system')
    .option('--entrypoint <program>', 'program to run instead of the entrypoint of the image')
    .option(
      '--runtime <program>',
      'OCI runtime: a name or a path (default: crun or runc, whichever works here)',
    )
  return withPlatformOption(withTransferOptions(command)).action(run)
}

async function run(image: string, command: readonly string[], options: RunOptions): Promise<void> {
  const { runContainer } = await import('#runner/index.ts')
  const reference = parseReference(image)
  const settings = await containerOptions(command, options)
  const store = await openLocalStore(options.root)
  const rootfs = await interruptible((signal) => rootfsOf(store, reference, options, signal))
  const { exitCode } = await runContainer(rootfs, settings, {
    root: store.layout.root,
    hostEnv: process.env,
    runtime: options.runtime,
    onWarning: (message) => say(`dray: ${message}`),
  })
  process.exitCode = exitCode
}

async function containerOptions(
  command: readonly string[],
  options: RunOptions,
): Promise<ContainerOptions> {
  const { parseCpus, parseMemory, parsePidsLimit, parseVolume } = await import('#runner/index.ts')
  const { memory, cpus, pidsLimit, entrypoint } = options
  return {
    command,
    entrypoint: entrypoint === undefined ? undefined : [entrypoint],
    env: options.env,
    workdir: options.workdir,
    user: options.user,
    hostname: options.hostname,
    network: options.network,
    volumes: options.volume.map(parseVolume),
    readOnly: options.readOnly,
    tty: options.tty,
    interactive: options.interactive,
    memory: memory === undefined ? undefined : parseMemory(memory),
    cpus: cpus === undefined ? undefined : parseCpus(cpus),
    pidsLimit: pidsLimit === undefined ? undefined : parsePidsLimit(pidsLimit),
  }
}

/** The image from the local store, or from its registry when it isn't there. */
async function rootfsOf(
  store: Store,
  reference: Reference,
  options: RunOptions,
  signal: AbortSignal,
): Promise<Rootfs> {
  const { prepareRootfs, pullImage } = await import('#puller/index.ts')
  const { platform, plainHttp } = options
  try {
    return await prepareRootfs(store, reference, { platform, signal })
  } catch (error) {
    if (!isDrayError(error, 'IMAGE_UNKNOWN')) throw error
  }
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  await pullImage(store, reference, { platform, plainHttp, onProgress: view.show, signal }).finally(
    view.end,
  )
  return await prepareRootfs(store, reference, { platform, signal })
}
