import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { Registry as Exposition } from 'prom-client'
import type { ListenAddress } from '../config.ts'
import { hostOfUrl, listen } from '../http/listen.ts'
import type { Registry } from '../server.ts'
import { type Counts, createMetrics, formatCounts, type Metrics } from './metrics.ts'

export interface CountedOptions {
  readonly logger: Logger
  start(metrics: Metrics): Promise<Registry>
  /** What other processes have counted. Default: there are none. */
  others?(): Promise<readonly Counts[]>
}

/**
 * Starts a registry, and answers `GET /metrics` for as long as it lives, on an address of its own, which none of the
 * registry's clients need to reach.
 *
 * @throws CONFIG_INVALID when the address can't be listened on, and what `start` throws
 */
export async function startCounted(
  address: ListenAddress,
  { logger, start, others = async () => [] }: CountedOptions,
): Promise<Registry> {
  const metrics = createMetrics()
  const { url, close } = await serve(address, async () => [
    await metrics.counts(),
    ...(await others()),
  ])
  logger.info({ url }, 'metrics are shown')
  const registry = await start(metrics).catch(async (error) => {
    await close()
    throw error
  })
  return {
    ...registry,
    async close() {
      await registry.close()
      await close()
    },
  }
}

async function serve(
  address: ListenAddress,
  gather: () => Promise<readonly Counts[]>,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const isAsked = request.method === 'GET' && request.url?.split('?')[0] === '/metrics'
    if (!isAsked) return void response.writeHead(404).end()
    try {
      const text = await formatCounts(await gather())
      response.writeHead(200, { 'Content-Type': Exposition.PROMETHEUS_CONTENT_TYPE }).end(text)
    } catch {
      response.writeHead(500).end()
    }
  })
  await listen(server, address)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${hostOfUrl(address.host)}:${port}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
