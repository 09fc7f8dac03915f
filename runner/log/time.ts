import { DrayError } from '#oci/error.ts'

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * Parses a moment as docker takes it for `--since` and `--until`: RFC 3339, a date, seconds since 1970, or how long ago
 * (`10m`, `1h30m`). Where no zone is given, the host's holds.
 *
 * @returns milliseconds since 1970
 * @throws USAGE
 */
export function parseMoment(text: string, now: number = Date.now()): number {
  if (/^\d{1,11}(?:\.\d{1,9})?$/.test(text)) return Number(text) * 1000
  const ago = parseGoDuration(text)
  if (ago !== undefined) return now - ago
  const isTime = /^\d{4}-\d\d-\d\d(?:T\d\d(?::\d\d(?::\d\d(?:\.\d{1,9})?)?)?(?:Z|[+-]\d\d:\d\d)?)?$/
  const moment = isTime.test(text) ? Date.parse(completed(text)) : Number.NaN
  if (!Number.isNaN(moment)) return moment
  throw new DrayError(
    'USAGE',
    `invalid time ${JSON.stringify(text)}: write 10m (ago), 2026-01-31T12:00:00, or seconds since 1970`,
  )
}

/** A duration as Go writes it, such as `1h30m` or `1.5s`, in milliseconds; undefined for anything else. */
export function parseGoDuration(text: string): number | undefined {
  if (text === '0') return 0
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y
  let total = 0
  while (part.lastIndex < text.length) {
    const match = part.exec(text)
    if (match === null) return undefined
    total += Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0)
  }
  return text === '' ? undefined : total
}

/** What Date.parse would take for UTC, or not at all. */
function completed(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return `${text}T00:00:00`
  return text.replace(/(T\d\d)(?=Z|[+-]|$)/, '$1:00')
}
