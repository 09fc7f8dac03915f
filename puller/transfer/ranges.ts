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

/** What is not yet there of a blob, in order, cut into pieces of at most `pieceSize` bytes. */
export function missingRanges(
  size: number,
  present: Iterable<ByteRange>,
  pieceSize: number,
): ByteRange[] {
  const missing: ByteRange[] = []
  let at = 0
  for (const range of [...mergeRanges(present), { start: size, end: size }]) {
    for (; at < range.start; at = Math.min(at + pieceSize, range.start)) {
      missing.push({ start: at, end: Math.min(at + pieceSize, range.start) })
    }
    at = Math.max(at, range.end)
  }
  return missing
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
