import type { Logger } from 'pino'
import { startRegistry } from '../server.ts'
import { type Order, packError, type Report } from './messages.ts'

type StartOrder = Extract<Order, { type: 'start' }>

/**
 * What a process does that `startWorkers` has started: serve until the primary or a signal tells it to stop, and end.
 * A signal to one worker alone replaces that worker; a second one ends it at once.
 */
export async function runWorker(createLogger: (worker: number) => Logger): Promise<void> {
  const { started, stopped } = listenToOrders()
  await report({ type: 'hello' })
  const order = await Promise.race([started, stopped])
  if (order !== undefined) {
    try {
      const { config, worker, isLead } = order
      const registry = await startRegistry(config, { logger: createLogger(worker), isLead })
      await report({ type: 'listening', url: registry.url, port: registry.port })
      await stopped
      await registry.close()
    } catch (error) {
      await report({ type: 'failed', error: packError(error) })
    }
  }
  process.disconnect()
}

function listenToOrders(): { started: Promise<StartOrder>; stopped: Promise<undefined> } {
  const started = Promise.withResolvers<StartOrder>()
  const stopped = Promise.withResolvers<undefined>()
  process.on('message', (order: Order) => {
    if (order.type === 'start') started.resolve(order)
    else stopped.resolve(undefined)
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopped.resolve(undefined))
  return { started: started.promise, stopped: stopped.promise }
}

/** A primary that is gone hears nothing, and takes this process with it. */
function report(message: Report): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, {}, () => resolve())
  })
}
