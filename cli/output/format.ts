const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** A size as people read it, in powers of 1000 as docker prints it: `239MB`, `1.35GB`. */
export function formatSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 ? String(value) : String(Number(value.toPrecision(3)))
  return `${digits}${UNITS[unit]}`
}

/** A duration: `340ms`, `4.1s`, `2m05s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`
}

const AGES = [
  [60, 'second'],
  [60, 'minute'],
  [24, 'hour'],
  [7, 'day'],
  [4.345, 'week'],
  [12, 'month'],
] as const

/** A span of time in words, as docker has it: `5 seconds`, `About a minute`, `3 weeks`. */
export function formatAge(ms: number): string {
  let value = Math.max(0, ms) / 1000
  if (value < 1) return 'Less than a second'
  for (const [size, unit] of AGES) {
    if (value < size) return inWords(Math.floor(value), unit)
    value /= size
  }
  return inWords(Math.floor(value), 'year')
}

/** A text of so many characters at the most, the last one an ellipsis where the rest is left out. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}

/** How long ago something was, `3 weeks ago`; `N/A` where nobody knows. */
export function formatSince(time: string | undefined, now: number): string {
  const moment = Date.parse(time ?? '')
  return Number.isNaN(moment) ? 'N/A' : `${formatAge(now - moment)} ago`
}

function inWords(count: number, unit: string): string {
  if (count > 1) return `${count} ${unit}s`
  return unit === 'second' ? '1 second' : `About ${unit === 'hour' ? 'an' : 'a'} ${unit}`
}

/** The first 12 hex digits of a digest, as docker shows it. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12)
}

/** Lines up cells in columns, two spaces apart; the last column is not padded. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  }
  const lines = rows.map((row) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
  )
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}
