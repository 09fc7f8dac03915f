import { DrayError } from '#oci/error.ts'
import type { TarTime } from './entry.ts'

/**
 * The records of one PAX extended header (POSIX.1-2024, pax, "Extended Header"), the last of each key. An empty value says
 * "as in the header" and is left out. Keys are binary strings. GNU's repeated `GNU.sparse.offset` and `GNU.sparse.numbytes`
 * (format 0.0) come back joined as one `GNU.sparse.map`, as in format 0.1.
 *
 * @throws TAR_INVALID for any byte out of place, as Go's archive/tar
 */
export function parsePax(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  const sparse: string[] = []
  let at = 0
  while (at < body.length) {
    const end = at + recordLength(body, at)
    const equals = body.indexOf(0x3d, at)
    const start = body.indexOf(0x20, at) + 1
    if (equals <= start || equals >= end) throw invalid('a record without a key')
    const key = body.toString('latin1', start, equals)
    const value = body.subarray(equals + 1, end - 1)
    if (key.includes('\0')) throw invalid('a NUL in a key')
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      collectSparse(sparse, key, value)
    } else {
      records.set(key, value)
    }
    at = end
  }
  if (sparse.length > 0) records.set('GNU.sparse.map', Buffer.from(sparse.join(',')))
  for (const [key, value] of records) if (value.length === 0) dropEmpty(records, key)
  return records
}

// An xattr with an empty value is a value; for the other keys empty means absent.
function dropEmpty(records: Map<string, Buffer>, key: string): void {
  if (!key.startsWith(XATTR_PREFIX)) records.delete(key)
}

/** Prefix of the keys that hold extended attributes (star, GNU tar, Go). */
export const XATTR_PREFIX = 'SCHILY.xattr.'

const RECORD_MIN = 5 // "5 a=\n"

function recordLength(body: Buffer, at: number): number {
  let length = 0
  let index = at
  for (; index < body.length && body[index] !== 0x20; index++) {
    const digit = (body[index] ?? 0) - 0x30
    if (digit < 0 || digit > 9 || index - at > 7) throw invalid('a record without a length')
    length = length * 10 + digit
  }
  if (length < RECORD_MIN || at + length > body.length || body[at + length - 1] !== 0x0a) {
    throw invalid('a record whose length is wrong')
  }
  return length
}

function collectSparse(sparse: string[], key: string, value: Buffer): void {
  const expected = sparse.length % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes'
  if (key !== expected || value.includes(0x2c)) throw invalid('a sparse map out of order')
  sparse.push(value.toString('latin1'))
}

/** A whole number of a PAX record: decimal digits, at most 2^53 - 1. Throws TAR_INVALID. */
export function parsePaxNumber(key: string, value: Buffer): number {
  const text = value.toString('latin1')
  const number = Number(text)
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(number)) {
    throw invalid(`${key} is not a number in range`)
  }
  return number
}

/** A time of a PAX record: seconds, maybe negative, maybe with a fraction of which nine digits count. Throws TAR_INVALID. */
export function parsePaxTime(key: string, value: Buffer): TarTime {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(value.toString('latin1'))
  const whole = Number(match?.[2])
  if (match === null || !Number.isSafeInteger(whole)) throw invalid(`${key} is not a time in range`)
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'))
  if (match[1] === '') return { seconds: whole, nanoseconds }
  if (nanoseconds === 0) return { seconds: 0 - whole, nanoseconds }
  return { seconds: -whole - 1, nanoseconds: 1_000_000_000 - nanoseconds }
}

/** A name of a PAX record. Throws TAR_INVALID when it holds a NUL. */
export function parsePaxName(key: string, value: Buffer): Buffer {
  if (value.includes(0)) throw invalid(`a NUL in ${key}`)
  return value
}

function invalid(what: string): DrayError {
  return new DrayError('TAR_INVALID', `invalid tar archive: extended header has ${what}`)
}
