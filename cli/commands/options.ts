import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseByteRate } from '#oci/byte-rate.ts'
import { parsePlatform, type Platform } from '#oci/platform.ts'
import type { CompressionFormat, Credential, LayerStore } from '#puller/index.ts'
import { PROGRESS_MODES, type ProgressMode } from '../output/progress.ts'

export interface StoreOptions {
  readonly root?: string
  /** Of commands that unpack layers. */
  readonly layerStore?: LayerStore
  readonly layerVerity?: 'on' | 'off'
}

export interface AccessOptions {
  readonly plainHttp?: true
  readonly tlsVerify?: boolean
  readonly certDir?: string | undefined
  readonly tokenServer: readonly string[]
  readonly authfile?: string | undefined
}

export interface CredentialOptions extends AccessOptions {
  readonly creds?: Credential | undefined
  readonly identityToken?: string
}

export interface ProgressOptions {
  readonly progress: ProgressMode
  readonly quiet?: true
}

export interface CompressionOptions {
  readonly compressionFormat?: CompressionFormat
  readonly compressionLevel?: number
}

/** A limit of everything that a command does, and those of single hosts. */
export interface Limit {
  readonly all?: number
  readonly hosts: ReadonlyMap<string, number>
}

export interface LimitOptions {
  readonly maxConnections?: Limit
  readonly limitRate?: Limit
  readonly lowPriority?: true
}

export interface TransferOptions extends StoreOptions, CredentialOptions, ProgressOptions {}

export function withStoreOptions(command: Command): Command {
  return command.option(
    '--root <dir>',
    'directory of the local store (default: /var/lib/dray, without root ~/.local/share/dray; environment: DRAY_ROOT)',
  )
}

/** Of what looks on at a container. */
export function sigProxyOption(): Option {
  return new Option('--sig-proxy', 'hand signals on to the container').default(true)
}

/** Has a verb take containers by the files of `run --cidfile`. */
export function withIdFiles(command: Command): Command {
  return command.option(
    '--cidfile <file>',
    'the container whose id a file of run --cidfile holds (repeatable)',
    collect,
    [],
  )
}

/** Collects what is given more than once. */
export const collect = (value: string, before: readonly string[]) => [...before, value]

/** The filters of a `prune`, which have no short form: -f is --force. */
export function withPruneFilter(command: Command, { until = true } = {}): Command {
  const keys = [...(until ? ['until=TIME (made before it)'] : []), 'label=K[=V]', 'label!=K[=V]']
  const text = `only those with ${keys.join(', ')} (repeatable)`
  return command.option('--filter <key=value>', text, collect, [])
}

/** Appends examples to a command's help: what to type, by the name that it has there, and what it does. */
export function withExamples(
  command: Command,
  examples: readonly (readonly [line: string, meaning: string])[],
): Command {
  const name = command.name()
  return command.addHelpText('after', () => {
    const group = command.parent?.name() ?? 'dray'
    const called = group === 'dray' ? name : `${group} ${command.name()}`
    const asTyped = new RegExp(`\\bdray ${name}(?= |$)`, 'g')
    const lines = examples.map(([line]) => line.replaceAll(asTyped, `dray ${called}`))
    const width = Math.max(...lines.map((line) => line.length))
    return [
      '\nExamples:',
      ...lines.map((line, at) => `  ${line.padEnd(width)}   # ${examples[at]?.[1]}`),
    ].join('\n')
  })
}

/** A number of 1 or more. */
export function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('write a number from 1 to 9999')
}

/** Bytes per second, with k, m or g for powers of 1024. */
function rate(text: string): number {
  const bytes = parseByteRate(text)
  if (bytes !== undefined) return bytes
  throw new InvalidArgumentError('write bytes per second, such as 500k or 20m')
}

/** Collects a limit for everything, and those for one host each: `<value>` and `<host>=<value>`. */
function limitOf(parse: (text: string) => number) {
  return (text: string, before: Limit = { hosts: new Map() }): Limit => {
    const [, host, value = text] = /^([^=]+)=(.*)$/.exec(text) ?? []
    const limit = parse(value)
    if (host === undefined) return { ...before, all: limit }
    return { ...before, hosts: new Map([...before.hosts, [host, limit]]) }
  }
}

/** Whole seconds; negative for ever. */
export function seconds(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('write a number of seconds')
}

export function withTransferOptions(command: Command, quiet?: string): Command {
  return withProgressOptions(withCredentialOptions(withStoreOptions(command)), quiet)
}

/** @param connections what `--max-connections` counts */
export function withLimitOptions(command: Command, connections: string): Command {
  return command
    .option(
      '--max-connections <n>',
      `${connections}; HOST=N for one host, in each direction (repeatable)`,
      limitOf(count),
    )
    .option(
      '--limit-rate <bytes>',
      'bytes per second, at the most, such as 20m; HOST=20m for one host (repeatable)',
      limitOf(rate),
    )
    .option('--low-priority', 'take only the CPU and disk time that nobody else wants')
}

/** @param quiet what `--quiet` does */
export function withProgressOptions(
  command: Command,
  quiet = 'print nothing but the digest',
): Command {
  return command
    .addOption(
      new Option('--progress <mode>', 'how progress is shown, on standard error')
        .choices([...PROGRESS_MODES])
        .default('auto'),
    )
    .option('-q, --quiet', quiet)
}

/** How registries are reached. */
export function withAccessOptions(command: Command): Command {
  return command
    .option('--plain-http', 'speak HTTP without TLS (registries on this machine need no such flag)')
    .addOption(new Option('--tls-verify', 'always so').default(true).hideHelp()) // podman's
    .option(
      '--authfile <file>',
      "file of credentials (default: podman's auth.json, then docker's config.json)",
    )
    .option(
      '--cert-dir <dir>',
      'certificates of registries, as <dir>/<host:port>/{*.crt,*.cert,*.key}, or straight in it' +
        ' (default: in certs.d of /etc/containers, /etc/docker and others)',
    )
    .option(
      '--token-server <host[:port]>',
      "trust a token server on another site than the registry's (repeatable)",
      collect,
      [],
    )
}

/** With credentials of the command line, too. */
export function withCredentialOptions(command: Command): Command {
  return withAccessOptions(command)
    .option('--creds <user:password>', 'credentials in place of those of the auth file', creds)
    .option('--identity-token <token>', 'a refresh token in place of a password')
}

/** `<user>:<password>` */
export function creds(text: string): Credential {
  const colon = text.indexOf(':')
  if (colon < 1) throw new InvalidArgumentError('write <user>:<password>')
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** Where an image comes from: {@link withTransferOptions}, the platform and when to pull. */
export function withImageOptions(command: Command): Command {
  const transferring = withTransferOptions(command, 'show no progress of a pull')
  return withLayerStoreOption(withPlatformOption(transferring)).addOption(
    new Option('--pull <when>', 'when to ask the registry')
      .choices(['missing', 'always', 'never'])
      .default('missing'),
  )
}

export function withLayerStoreOption(command: Command): Command {
  const form = new Option(
    '--layer-store <form>',
    'how layers are kept. dir: as files; erofs: as their tar, mounted; auto: erofs where it works (see dray info)',
  )
    .choices(['auto', 'dir', 'erofs'] satisfies readonly LayerStore[])
    .default('auto')
    .env('DRAY_LAYER_STORE')
  const verity = new Option(
    '--layer-verity <use>',
    'on: new layers get fs-verity, so that nothing can change them, which takes reading them once more (see dray info)',
  )
    .choices(['on', 'off'])
    .default('off')
    .env('DRAY_LAYER_VERITY')
  return command.addOption(form).addOption(verity)
}

export function withPlatformOption(command: Command): Command {
  return command.option(
    '--platform <os/arch[/variant]>',
    'platform of the image (default: this machine)',
    platform,
  )
}

/** `os/arch[/variant]` */
export function platform(text: string): Platform {
  try {
    return parsePlatform(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

/** How layers are compressed, in podman's words. */
export function withCompressionOptions(command: Command, whatHas: string): Command {
  return command
    .addOption(
      new Option(
        '--compression, --compression-format <format>',
        `how ${whatHas} compressed`,
      ).choices(['gzip', 'zstd'] satisfies readonly CompressionFormat[]),
    )
    .option(
      '--compression-level <n>',
      'gzip: 1 to 9 (default: 6); zstd: 1 to 22 (default: 3)',
      count,
    )
}
