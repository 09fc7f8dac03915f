import type { FileHandle } from 'node:fs/promises'
import { parseLogLine } from './line.ts'

const BLOCK = 64 * 1024
const NEWLINE = 0x0a

/** Where the last lines of a log begin in one of its files. */
export interface Tail {
  readonly start: number
  /** How many lines end after it; more than were wanted when the first of them ended elsewhere before. */
  readonly found: number
}

/**
 * Where the last lines of a log begin in a file, of which newer files have some. A line that came in parts counts once, one
 * that isn't ended yet too. Reads backwards, no more than it must.
 */
export async function startOfTail(file: FileHandle, lines: number, newer: number): Promise<Tail> {
  let found = newer
  let position = (await file.stat()).size
  if (lines === 0) return { start: position, found }
  let rest: Buffer = Buffer.alloc(0)
  while (position > 0) {
    const size = Math.min(BLOCK, position)
    position -= size
    const { buffer } = await file.read(Buffer.alloc(size), 0, size, position)
    const text = Buffer.concat([buffer, rest])
    // Lines from the last to the first; `end` is the newline that ends one.
    let end = text.lastIndexOf(NEWLINE)
    while (end >= 0) {
      const before = end === 0 ? -1 : text.lastIndexOf(NEWLINE, end - 1)
      if (before < 0 && position > 0) break
      const isPartial = parseLogLine(text.subarray(before + 1, end))?.isPartial
      const endsLine = isPartial === false || (isPartial === true && found === 0)
      if (endsLine && ++found > lines) return { start: position + end + 1, found }
      end = before
    }
    rest = text.subarray(0, end + 1)
  }
  return { start: 0, found }
}
