import cluster from 'node:cluster'
import { Command } from 'commander'
import type { Logger } from 'pino'
import { errorMessage } from '#oci/error.ts'
import type { Registry, RegistryConfig } from '#registry/index.ts'
import { say } from '../output/print.ts'
import type { RegistryOptions } from './registry-options.ts'
import { withExamples } from './options.ts'

/** Without its options, which take long to load. */
export function serveCommand(): Command {
  const command = new Command('serve').description(
    'Run a registry, with its content in a directory or in an S3 bucket',
  )
  return withExamples(command, [
    ['dray serve --data /srv/registry', 'for this machine, on port 5000'],
    ['dray serve --config /etc/dray/registry.json', 'as a file says'],
  ]).action(serve)
}

async function serve(options: RegistryOptions): Promise<void> {
  const { createLogger } = await import('../logger.ts')
  if (cluster.isWorker) {
    const { runWorker } = await import('#registry/workers/worker.ts')
    return runWorker(createLogger)
  }
  // Libraries of the workers want to know it, and the workers start anew for months: say now if it is gone.
  process.cwd()
  const { loadConfig } = await import('#registry/config.ts')
  const { flagsOf } = await import('./registry-options.ts')
  const load = () => loadConfig({ env: process.env, path: options.config, flags: flagsOf(options) })
  const config = load()
  const registry = await start(config, createLogger(config.logLevel))
  say(`dray: registry listening on ${registry.url}, content in ${contentPlace(config)}`)
  process.on('SIGHUP', () => reload(registry, load))
  await stopSignal()
  await registry.close()
}

/** A process that only looks after workers loads nothing of what they need. */
async function start(config: RegistryConfig, logger: Logger): Promise<Registry> {
  if (config.workers === 1) {
    const { startRegistry } = await import('#registry/server.ts')
    if (config.metrics === undefined) return startRegistry(config, { logger })
    const { startCounted } = await import('#registry/metrics/metrics-server.ts')
    return startCounted(config.metrics.listen, {
      logger,
      start: (metrics) => startRegistry(config, { logger, metrics }),
    })
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
    say(`dray: the rules stay as they were: ${errorMessage(error)}`)
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
