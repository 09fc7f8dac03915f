import type { RequestListener, Server, ServerOptions } from 'node:http'
import { createServer } from 'node:https'
import type { Logger } from 'pino'
import { createExpiryWarning } from './expiry.ts'
import { readTls, type TlsConfig, tlsFiles } from './tls.ts'
import { watchFiles } from './watched-file.ts'

export interface TlsServer {
  readonly server: Server
  /** Takes changed certificates without waiting for the next look at their files. */
  refresh(): void
}

const HANDSHAKE_TIMEOUT_MS = 10_000
const LOOK_EVERY_MS = 10_000

/** A server that speaks TLS. Certificates are taken again when their files change. @throws CONFIG_INVALID */
export function createTlsServer(
  tls: TlsConfig & { readonly requireClientCert: boolean },
  { options, logger }: { readonly options: ServerOptions; readonly logger: Logger },
  take: RequestListener,
): TlsServer {
  const read = watchFiles(tlsFiles(tls), () => readTls(tls), { logger, lookEveryMs: 0 })
  const warnOfExpiry = createExpiryWarning(logger)
  let current = read()
  warnOfExpiry(current.cert)
  const server = createServer(
    {
      ...options,
      ...current,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      requestCert: tls.clientCa !== undefined,
      rejectUnauthorized: tls.requireClientCert,
    },
    take,
  )
  const refresh = () => {
    const next = read()
    warnOfExpiry(next.cert)
    if (next === current) return
    current = next
    server.setSecureContext(next)
  }
  const timer = setInterval(refresh, LOOK_EVERY_MS)
  timer.unref()
  server.once('close', () => clearInterval(timer))
  return { server, refresh }
}
