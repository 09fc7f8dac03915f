import cluster from 'node:cluster'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Logger } from 'pino'
import type { ConfigDocument, Registry, RegistryConfig } from '#registry/index.ts'
import { say } from '../output/print.ts'

interface ServeOptions {
  readonly listen?: string
  readonly data?: string
  readonly config?: string
  readonly s3Bucket?: string
  readonly s3Endpoint?: string
  readonly s3Region?: string
  readonly s3PathStyle?: true
  readonly s3Prefix?: string
  readonly missingReferences?: 'refuse' | 'allow'
  readonly readOnly?: true
  readonly immutableTags?: Record<string, string[]>
  readonly warning?: string[]
  readonly workers?: number
  readonly openToAnyone?: true
  readonly plainHttp?: true
  readonly logLevel: string
}

export function serveCommand(): Command {
  return new Command('serve')
    .description('Run a registry, with its content in a directory or in an S3 bucket')
    .option('--listen <host:port>', 'where it listens (default: 127.0.0.1:5000)')
    .option('--data <dir>', 'directory of its content (default: /var/lib/dray/registry)')
    .option('--config <file>', 'config file, in JSON; flags and DRAY_* variables overrule it')
    .option(
      '--s3-bucket <name>',
      'keep the content in this bucket; credentials as the AWS SDK finds them',
    )
    .option('--s3-endpoint <url>', 'S3 server, where it is not that of AWS')
    .option('--s3-region <name>', 'region of the bucket (default: us-east-1)')
    .option(
      '--s3-path-style',
      'name the bucket in the path, as most S3 servers but that of AWS want it',
    )
    .option('--s3-prefix <prefix/>', 'what the names of all objects begin with')
    .addOption(
      new Option(
        '--missing-references <rule>',
        'manifests that refer to what their repository lacks (default: refuse)',
      ).choices(['refuse', 'allow']),
    )
    .option('--read-only', 'answer requests that change nothing, and no others')
    .option(
      '--immutable-tags <repositories=tags>',
      "globs of tags that never change, once given, such as 'prod/**=v*'; can be repeated",
      addRule,
    )
    .option('--warning <text>', 'tell clients so with every answer; can be repeated', addText)
    .option(
      '--workers <n>',
      'processes that serve (default: one for each core, at most 4, with 512 MiB of memory each)',
      Number,
    )
    .option('--open-to-anyone', 'let whoever reaches the registry push and delete')
    .option('--plain-http', 'listen without TLS on an address that others can reach')
    .addOption(
      new Option('--log-level <level>', 'what is logged, as JSON on standard output')
        .choices(['error', 'warn', 'info', 'debug', 'silent'])
        .default('info'),
    )
    .action(serve)
}

async function serve(options: ServeOptions): Promise<void> {
  const { createLogger } = await import('../logger.ts')
  if (cluster.isWorker) {
    const { runWorker } = await import('#registry/workers/worker.ts')
    return runWorker((worker) => createLogger(options.logLevel, { worker }))
  }
  const { loadConfig } = await import('#registry/config.ts')
  const load = () => loadConfig({ env: process.env, path: options.config, flags: flagsOf(options) })
  const config = load()
  const registry = await start(config, createLogger(options.logLevel))
  say(`dray: registry listening on ${registry.url}, content in ${contentPlace(config)}`)
  process.on('SIGHUP', () => reload(registry, load))
  await stopSignal()
  await registry.close()
}

function addRule(rule: string, rules: Record<string, string[]> = {}): Record<string, string[]> {
  const at = rule.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must be <repositories>=<tags>.')
  const repositories = rule.slice(0, at)
  return { ...rules, [repositories]: [...(rules[repositories] ?? []), rule.slice(at + 1)] }
}

function addText(text: string, texts: string[] = []): string[] {
  return [...texts, text]
}

/** A process that only looks after workers loads nothing of what they need. */
async function start(config: RegistryConfig, logger: Logger): Promise<Registry> {
  if (config.workers === 1) {
    const { startRegistry } = await import('#registry/server.ts')
    return startRegistry(config, { logger })
  }
  const { startWorkers } = await import('#registry/workers/primary.ts')
  return startWorkers(config, { logger })
}

/** Takes the rules of the config file again; one that can't be used changes nothing. */
function reload(registry: Registry, load: () => RegistryConfig): void {
  try {
    registry.reload(load())
    say('dray: took the rules of the config file again')
  } catch (error) {
    say(`dray: the rules stay as they were: ${error instanceof Error ? error.message : error}`)
  }
}

function flagsOf(options: ServeOptions): ConfigDocument {
  const { s3Bucket, s3Endpoint, s3Region, s3PathStyle, s3Prefix } = options
  return {
    listen: options.listen,
    dataDir: options.data,
    missingReferences: options.missingReferences,
    openToAnyone: options.openToAnyone,
    plainHttp: options.plainHttp,
    readOnly: options.readOnly,
    immutableTags: options.immutableTags,
    warnings: options.warning,
    workers: options.workers,
    s3: {
      bucket: s3Bucket,
      endpoint: s3Endpoint,
      region: s3Region,
      pathStyle: s3PathStyle,
      prefix: s3Prefix,
    },
  }
}

function contentPlace({ s3, dataDir }: RegistryConfig): string {
  return s3 === undefined ? dataDir : `s3://${s3.bucket}/${s3.prefix}`
}

/** Waits for the signal to stop. A second one ends the program at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
