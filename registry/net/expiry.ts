import { X509Certificate } from 'node:crypto'
import type { Logger } from 'pino'

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
/** Those who renew certificates do so sooner: at two thirds of their life, or a month before their end. */
const WARN_MS = 7 * DAY_MS
const WARN_PART = 1 / 5

/** Says, of a new certificate at once and then once a day, when clients refuse it, or soon will. Can be called often. */
export function createExpiryWarning(
  logger: Logger,
  now: () => number = Date.now,
): (cert: Buffer) => void {
  let seen: Buffer | undefined
  let lookAt = 0
  return (cert) => {
    if (cert === seen && now() < lookAt) return
    seen = cert
    const { validFrom, validTo } = new X509Certificate(cert)
    const end = Date.parse(validTo)
    const leftMs = end - now()
    const isSoon = leftMs < Math.min(WARN_MS, (end - Date.parse(validFrom)) * WARN_PART)
    lookAt = now() + (isSoon ? DAY_MS : HOUR_MS)
    if (leftMs <= 0)
      logger.error({ validTo }, 'the certificate has expired: put a new one in its place')
    else if (isSoon)
      logger.warn({ validTo }, 'the certificate expires soon: put a new one in its place')
  }
}
