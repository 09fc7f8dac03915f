import type { Logger } from 'pino'
import type { RegistryConfig } from '../config.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { startRegistry } from '../server.ts'
import { type Order, packError, type Report } from './messages.ts'
import { createPeers } from './peers.ts'

/** Makes a logger whose every line has `base`. */
export type CreateLogger = (level: string, base: { readonly worker: number }) => Logger

type StartOrder = Extract<Order, { type: 'start' }>

/**
 * What a process does that `startWorkers` has started: serve until the primary or a signal tells it to stop, and end.
 * A signal to one worker alone replaces that worker; a second one ends it at once.
 */
export async function runWorker(createLogger: CreateLogger): Promise<void> {
  const { started, stopped, onReload } = listenToOrders()
  await report({ type: 'hello' })
  const order = await Promise.race([started, stopped])
  if (order !== undefined) {
    try {
      const { config, worker, isLead } = order
      const logger = createLogger(config.logLevel, { worker })
      const metrics = config.metrics === undefined ? undefined : await countForPrimary()
      const peers = config.workers > 1 ? createPeers(report) : undefined
      const registry = await startRegistry(config, { logger, isLead, metrics, peers })
      await report({ type: 'listening', url: registry.url, port: registry.port })
      onReload((next) => {
        try {
          registry.reload(next)
        } catch (err) {
          logger.error({ err }, 'the rules stay as they were')
        }
      })
      await stopped
      await registry.close()
    } catch (error) {
      await report({ type: 'failed', error: packError(error) })
    }
  }
  process.disconnect()
}

interface Orders {
  readonly started: Promise<StartOrder>
  readonly stopped: Promise<undefined>
  /** Called with each further configuration, with one that came before at once. */
  onReload(take: (config: RegistryConfig) => void): void
}

function listenToOrders(): Orders {
  const started = Promise.withResolvers<StartOrder>()
  const stopped = Promise.withResolvers<undefined>()
  let early: RegistryConfig | undefined
  let reload = (config: RegistryConfig) => {
    early = config
  }
  process.on('message', (order: Order) => {
    if (order.type === 'start') started.resolve(order)
    else if (order.type === 'reload') reload(order.config)
    else if (order.type === 'stop') stopped.resolve(undefined)
  })
  // The primary reads the configuration, and passes it on.
  process.on('SIGHUP', () => {})
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopped.resolve(undefined))
  return {
    started: started.promise,
    stopped: stopped.promise,
    onReload(take) {
      reload = take
      if (early !== undefined) take(early)
    },
  }
}

/** Counts what happens here, and tells the primary whenever it asks. */
async function countForPrimary(): Promise<Metrics> {
  const { createMetrics } = await import('../metrics/metrics.ts')
  const metrics = createMetrics()
  process.on('message', async (order: Order) => {
    if (order.type !== 'count') return
    await report({ type: 'counts', id: order.id, counts: await metrics.counts() })
  })
  return metrics
}

/** A primary that is gone hears nothing, and takes this process with it. */
function report(message: Report): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, {}, () => resolve())
  })
}
