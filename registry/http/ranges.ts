import type { ByteRange } from '../storage/blob-driver.ts'

/** More ranges than this in one request are not worth splitting an answer for. */
const MOST_RANGES = 16
const RANGES = /^bytes=\s*([0-9]*-[0-9]*(?:\s*,\s*[0-9]*-[0-9]*)*)\s*$/i

/**
 * Reads a `Range` header (RFC 9110, section 14.2) against a blob of `size` bytes. Undefined when it is to be ignored:
 * not understood, or not worth honouring. Empty when no range of it lies in the blob.
 */
export function parseRanges(header: string, size: number): readonly ByteRange[] | undefined {
  if (header.length > 1000) return undefined
  const specs = RANGES.exec(header)?.[1]?.split(',')
  if (specs === undefined || specs.length > MOST_RANGES) return undefined
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    const [first = '', last = ''] = spec.trim().split('-')
    if (first === '' && last === '') return undefined
    // A range that ends before it begins is invalid by the RFC, but refused by the conformance suite of OCI.
    const range = first === '' ? suffixRange(Number(last), size) : plainRange(first, last, size)
    if (range !== undefined) ranges.push(range)
  }
  const wanted = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0)
  return ranges.length > 1 && wanted > size ? undefined : ranges
}

function suffixRange(length: number, size: number): ByteRange | undefined {
  if (length === 0 || size === 0) return undefined
  return { start: Math.max(size - length, 0), end: size - 1 }
}

function plainRange(first: string, last: string, size: number): ByteRange | undefined {
  const start = Number(first)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start <= end ? { start, end } : undefined
}

/** `Content-Range` of a part of a blob. */
export function formatContentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end}/${size}`
}
