import type { ByteRange } from '../transfer/ranges.ts'

/** Whether the connection ends with this answer. */
export interface RangeAnswer {
  readonly isLast: boolean
}

/**
 * Reads the head of an HTTP/1.1 answer (RFC 9112) to a request for one range, without its last empty line.
 *
 * @returns undefined unless it is a 206 with exactly this range, as it is, in as many bytes as the range has
 */
export function parseHead(head: string, range: ByteRange): RangeAnswer | undefined {
  const [status = '', ...lines] = head.split('\r\n')
  if (!/^HTTP\/1\.1 206(?: |$)/.test(status)) return undefined
  const fields = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
    if (name === undefined || value === undefined) return undefined
    const key = name.toLowerCase()
    // Twice the same field is no mistake in general, but none that matters here is sent twice.
    if (fields.has(key) && MATTERS.has(key)) return undefined
    fields.set(key, value)
  }
  const sent = `bytes ${range.start}-${range.end - 1}/`
  const isRight =
    fields.get('content-range')?.startsWith(sent) === true &&
    fields.get('content-length') === `${range.end - range.start}` &&
    (fields.get('content-encoding') ?? 'identity') === 'identity' &&
    !fields.has('transfer-encoding')
  if (!isRight) return undefined
  return { isLast: /(?:^|,)\s*close\s*(?:,|$)/i.test(fields.get('connection') ?? '') }
}

const MATTERS = new Set(['content-range', 'content-length', 'content-encoding', 'connection'])
