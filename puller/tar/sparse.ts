import { DrayError } from '#oci/error.ts'
import type { SparseExtent } from './entry.ts'
import { BLOCK_SIZE, natural } from './header.ts'

/** The most a sparse map may take in an archive, in bytes of its text or blocks (Go's limit for special content). */
export const SPARSE_MAP_LIMIT = 1024 * 1024

/**
 * Checks a sparse map: runs ascending, apart and inside the file, and together as long as what is stored. Empty runs are
 * dropped: writers use one to mark the end.
 *
 * @throws TAR_INVALID
 */
export function checkSparse(
  extents: readonly SparseExtent[],
  size: number,
  storedSize: number,
): SparseExtent[] {
  let end = 0
  let stored = 0
  for (const { offset, length } of extents) {
    if (offset < end || !Number.isSafeInteger(offset + length) || offset + length > size) {
      throw invalid('runs that overlap or leave the file')
    }
    end = offset + length
    stored += length
  }
  if (stored !== storedSize) throw invalid('another length than the stored content')
  return extents.filter(({ length }) => length > 0)
}

/** The runs in a GNU header (4 at byte 386) or in one of its extension blocks (21 at byte 0). Throws TAR_INVALID. */
export function parseOldSparse(block: Buffer, at: number, slots: number): SparseExtent[] {
  const extents: SparseExtent[] = []
  for (let index = 0; index < slots; index++) {
    const start = at + 24 * index
    if (block[start] === 0) break
    extents.push({
      offset: natural(block, start, 12, 'sparse offset'),
      length: natural(block, start + 12, 12, 'sparse length'),
    })
  }
  return extents
}

/** The runs of PAX format 0.0 and 0.1: `offset,length,offset,length`. Throws TAR_INVALID. */
export function parseSparseList(value: Buffer): SparseExtent[] {
  if (value.length === 0) return []
  const numbers = value.toString('latin1').split(',').map(decimal)
  if (numbers.length % 2 !== 0) throw invalid('an odd count of numbers')
  return pairs(numbers)
}

/** Reads a map of PAX format 1.0, which stands in blocks before the content: a count, then offsets and lengths, one a line. */
export interface SparseMapReader {
  /** Takes the next block; the runs when the map ends in it, undefined while it doesn't. Throws TAR_INVALID. */
  add(block: Buffer): SparseExtent[] | undefined
}

export function createSparseMapReader(): SparseMapReader {
  const numbers: number[] = []
  let rest = ''
  let taken = 0
  return {
    add(block) {
      taken += BLOCK_SIZE
      if (taken > SPARSE_MAP_LIMIT) throw invalid('more than 1 MiB')
      const lines = (rest + block.toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        numbers.push(decimal(line))
        if (numbers.length === 1 + 2 * (numbers[0] ?? 0)) return pairs(numbers.slice(1))
      }
      if (rest.length > 20) throw invalid('a number out of range')
      return undefined
    },
  }
}

function decimal(text: string): number {
  const value = Number(text)
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(value)) {
    throw invalid('a number out of range')
  }
  return value
}

function pairs(numbers: readonly number[]): SparseExtent[] {
  const extents: SparseExtent[] = []
  for (let index = 0; index < numbers.length; index += 2) {
    extents.push({ offset: numbers[index] ?? 0, length: numbers[index + 1] ?? 0 })
  }
  return extents
}

function invalid(what: string): DrayError {
  return new DrayError('TAR_INVALID', `invalid tar archive: sparse map has ${what}`)
}
