import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Logger, pino } from 'pino'
import { DrayError, isErrno } from '#oci/error.ts'
import { createAuthority } from './auth/authority.ts'
import type { ListenAddress, RegistryConfig } from './config.ts'
import { createApp } from './http/app.ts'
import { createServices } from './services/services.ts'
import { openStorage, type Storage } from './storage/open-storage.ts'

export interface RegistryOptions {
  /** Default: silent. */
  readonly logger?: Logger | undefined
  /** Default: what the configuration names. */
  readonly storage?: Storage | undefined
  /** Whether to check the storage and to end idle uploads, which one process of a machine does for all. Default: true. */
  readonly isLead?: boolean | undefined
}

export interface Registry {
  /** Such as `http://127.0.0.1:5000`. */
  readonly url: string
  readonly port: number
  /**
   * Stops listening, lets requests finish for `shutdownTimeoutMs` at most, then closes the storage. Uploads that are
   * cut off keep what has come and can be resumed.
   */
  close(): Promise<void>
  /**
   * Takes the section `auth` of another configuration, all of it or, when it can't be used, nothing.
   *
   * @throws CONFIG_INVALID
   */
  reload(config: RegistryConfig): void
}

// Longer than load balancers keep idle connections (60 s as a rule), so that they never use one that we just closed.
const KEEP_ALIVE_TIMEOUT_MS = 75_000
const HEADERS_TIMEOUT_MS = 60_000
const SWEEP_INTERVAL_MS = 50
const EXPIRY_INTERVAL_MS = 60 * 60_000

/**
 * Starts a registry.
 *
 * @throws CONFIG_INVALID when the address or the storage can't be used as configured, STORAGE_FAILED when the storage
 * doesn't answer
 */
export async function startRegistry(
  config: RegistryConfig,
  { logger = pino({ level: 'silent' }), storage: given, isLead = true }: RegistryOptions = {},
): Promise<Registry> {
  const { stallTimeoutMs, uploadTtlMs, shutdownTimeoutMs, readOnly, warnings } = config
  // Checking the storage writes to it; a registry that never does needs no rights to.
  const storage = given ?? (await openStorage(config, { isChecked: isLead && !readOnly }))
  const authority = createAuthority(config.auth, { records: storage.records, logger })
  const services = createServices(storage.content, storage.records, config)
  const app = createApp(services, { logger, authority, stallTimeoutMs, readOnly, warnings })
  const handle = app.callback()
  const handlings = new Map<ServerResponse, Promise<void>>()
  // A whole-request timeout would end every honest slow upload; bodies have a stall timer of their own.
  const server = createServer(
    {
      requestTimeout: 0,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    },
    (request, response) => {
      // A connection of a server that is stopping ends with its answer.
      if (!server.listening) response.shouldKeepAlive = false
      const handling = handle(request, response).finally(() => handlings.delete(response))
      handlings.set(response, handling)
    },
  )
  try {
    await listen(server, config.listen)
  } catch (error) {
    await closeStorage(storage)
    throw error
  }
  const stopExpiry = isLead && !readOnly ? startExpiry(storage, uploadTtlMs, logger) : () => {}
  const { port } = server.address() as AddressInfo
  const url = `http://${hostOfUrl(config.listen.host)}:${port}`
  logger.info({ url, storage: storageName(config) }, 'registry is listening')
  return {
    url,
    port,
    async close() {
      stopExpiry()
      for (const response of handlings.keys()) response.shouldKeepAlive = false
      await stop(server, shutdownTimeoutMs)
      // Requests that were cut off still store what has come.
      await Promise.allSettled(handlings.values())
      await closeStorage(storage)
      await authority.close()
      logger.info({ url }, 'registry has stopped')
    },
    reload(next) {
      authority.reload(next.auth)
      logger.info('took the rules of the configuration again')
    },
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)))
    server.listen({ host, port }, resolve)
  })
}

function listenError(error: Error, host: string, port: number): unknown {
  const why = isErrno(error, 'EADDRINUSE')
    ? 'another program listens there: stop it, or choose another port'
    : isErrno(error, 'EADDRNOTAVAIL', 'ENOTFOUND')
      ? 'this machine has no such address'
      : isErrno(error, 'EACCES')
        ? 'ports below 1024 need root'
        : error.message
  return new DrayError('CONFIG_INVALID', `cannot listen on ${hostOfUrl(host)}:${port}: ${why}`, {
    cause: error,
  })
}

async function stop(server: Server, timeoutMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // Connections become idle, one after the other, when their last request is answered.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_INTERVAL_MS)
  const timer = setTimeout(() => server.closeAllConnections(), timeoutMs)
  await closed
  clearTimeout(timer)
  clearInterval(sweep)
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

function hostOfUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function storageName({ s3, dataDir }: RegistryConfig): string {
  return s3 === undefined ? dataDir : `s3://${s3.bucket}/${s3.prefix}`
}
