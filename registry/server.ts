import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, pino } from 'pino'
import { createAuthority } from './auth/authority.ts'
import { checkSources } from './auth/sources.ts'
import type { RegistryConfig } from './config.ts'
import { createApp } from './http/app.ts'
import { startHttpServer } from './http/http-server.ts'
import type { Metrics } from './metrics/metrics.ts'
import { parseAddressSet } from './net/addresses.ts'
import { readTls } from './net/tls.ts'
import { createReadiness } from './readiness.ts'
import { createServices } from './services/services.ts'
import { openStorage, type Storage } from './storage/open-storage.ts'
import type { HashPeers } from './storage/running-hashes.ts'

export interface RegistryOptions {
  /** Default: silent. */
  readonly logger?: Logger | undefined
  /** Default: what the configuration names. */
  readonly storage?: Storage | undefined
  /** Whether to check the storage and to end idle uploads, which one process of a machine does for all. Default: true. */
  readonly isLead?: boolean | undefined
  /** Counts what happens, for somebody else to show. */
  readonly metrics?: Metrics | undefined
  /** The other processes that serve together with this one. Default: none. */
  readonly peers?: HashPeers | undefined
}

export interface Registry {
  /** Such as `http://127.0.0.1:5000`. */
  readonly url: string
  readonly port: number
  /**
   * Is not ready any more for `shutdownDelayMs`, then stops listening, lets requests finish for `shutdownTimeoutMs` at
   * most, then closes the storage. Uploads that are cut off keep what has come and can be resumed.
   */
  close(): Promise<void>
  /**
   * Takes the section `auth` of another configuration, all of it or, when it can't be used, nothing.
   *
   * @throws CONFIG_INVALID
   */
  reload(config: RegistryConfig): void
}

const EXPIRY_INTERVAL_MS = 60 * 60_000

/**
 * Starts a registry.
 *
 * @throws CONFIG_INVALID when the address or the storage can't be used as configured, STORAGE_FAILED when the storage
 * doesn't answer
 */
export async function startRegistry(
  config: RegistryConfig,
  {
    logger = pino({ level: 'silent' }),
    storage: given,
    isLead = true,
    metrics,
    peers,
  }: RegistryOptions = {},
): Promise<Registry> {
  checkSources(config.auth)
  if (config.tls !== undefined) readTls(config.tls)
  // Checking the storage writes to it; a registry that never does needs no rights to.
  const isChecked = isLead && !config.readOnly
  const storage = given ?? (await openStorage(config, { isChecked, observer: metrics, peers }))
  const authority = createAuthority(config.auth, { records: storage.records, logger })
  const services = createServices(storage.content, storage.records, config)
  const readiness = createReadiness(storage)
  const observer = metrics
  const isTrustedProxy = parseAddressSet(config.trustedProxies)
  const app = createApp(services, {
    ...{ ...config, logger, authority, readiness, observer, isTrustedProxy },
  })
  const server = await startHttpServer(app.callback(), { ...config, logger }).catch(
    async (error) => {
      await closeStorage(storage)
      throw error
    },
  )
  const stopExpiry = isChecked ? startExpiry(storage, config.uploadTtlMs, logger) : () => {}
  const { url, port } = server
  logger.info({ url, storage: storageName(config) }, 'registry is listening')
  return {
    url,
    port,
    async close() {
      stopExpiry()
      readiness.stop()
      await sleep(config.shutdownDelayMs)
      await server.drain(config.shutdownTimeoutMs)
      await closeStorage(storage)
      await authority.close()
      logger.info({ url }, 'registry has stopped')
    },
    reload(next) {
      authority.reload(next.auth)
      server.refresh()
      logger.info('took the rules of the configuration again')
    },
  }
}

async function closeStorage({ content, records }: Storage): Promise<void> {
  await content.close()
  await records.close()
}

/** Ends idle uploads now and then; replicas of one bucket may do so at the same time. */
function startExpiry({ content }: Storage, uploadTtlMs: number, logger: Logger): () => void {
  let isRunning = false
  const run = async () => {
    if (isRunning) return
    isRunning = true
    try {
      await content.expireUploads(uploadTtlMs)
    } catch (err) {
      logger.warn({ err }, 'cannot expire uploads')
    } finally {
      isRunning = false
    }
  }
  const timer = setInterval(run, Math.min(EXPIRY_INTERVAL_MS, uploadTtlMs))
  timer.unref()
  void run()
  return () => clearInterval(timer)
}

function storageName({ s3, dataDir }: RegistryConfig): string {
  return s3 === undefined ? dataDir : `s3://${s3.bucket}/${s3.prefix}`
}
