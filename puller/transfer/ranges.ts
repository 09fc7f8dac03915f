/** Bytes `start` up to but without `end` of a blob. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** Sorts ranges and joins those that touch or overlap. */
export function mergeRanges(ranges: Iterable<ByteRange>): ByteRange[] {
  const merged: ByteRange[] = []
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last !== undefined && range.start <= last.end) {
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) }
    } else if (range.end > range.start) {
      merged.push(range)
    }
  }
  return merged
}

/** What of a range is not there yet, in order. */
export function gapsIn(range: ByteRange, present: Iterable<ByteRange>): ByteRange[] {
  const gaps: ByteRange[] = []
  let at = range.start
  for (const { start, end } of mergeRanges(present)) {
    if (start >= range.end) break
    if (start > at) gaps.push({ start: at, end: start })
    at = Math.max(at, end)
  }
  if (at < range.end) gaps.push({ start: at, end: range.end })
  return gaps
}

/** How many bytes are present from the start without a gap. */
export function prefixLength(present: Iterable<ByteRange>): number {
  const [first] = mergeRanges(present)
  return first?.start === 0 ? first.end : 0
}

/** The total of disjoint or overlapping ranges, in bytes. */
export function totalLength(ranges: Iterable<ByteRange>): number {
  return mergeRanges(ranges).reduce((sum, range) => sum + range.end - range.start, 0)
}
