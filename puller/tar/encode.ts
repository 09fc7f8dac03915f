import type { TarEntry, TarEntryType, TarTime } from './entry.ts'
import { BLOCK_SIZE } from './header.ts'
import { XATTR_PREFIX } from './pax.ts'

/** The part of an entry that its headers hold. */
export type EntryHead = Omit<TarEntry, 'sparse' | 'dataOffset' | 'storedSize'>

/** What has no extended attributes. */
export const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map()

/** The head of a file of root's, with nothing in it and nothing said of it. */
export function emptyFile(path: Buffer): EntryHead {
  return {
    path,
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    linkPath: undefined,
    devMajor: 0,
    devMinor: 0,
    xattrs: NO_XATTRS,
  }
}

const TYPEFLAGS: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

const NAME_SIZE = 100
const PREFIX_SIZE = 155
const ID_MAX = 0o7777777
const SIZE_MAX = 0o77777777777 // also of mtime

/**
 * The header blocks of an entry: one ustar header, with a PAX extended header before it for what doesn't fit (POSIX.1-2024,
 * pax): long names, big ids, sizes and times, fractions of a second, xattrs. The same entry always gives the same bytes.
 */
export function encodeHeader(entry: EntryHead): Buffer {
  const records: (readonly [string, Buffer])[] = []
  const name = splitPath(entry.path)
  if (name === undefined) records.push(['path', entry.path])
  const link = entry.linkPath ?? EMPTY
  if (link.length > NAME_SIZE) records.push(['linkpath', link])
  for (const key of ['uid', 'gid'] as const) {
    if (entry[key] > ID_MAX) records.push([key, Buffer.from(String(entry[key]))])
  }
  if (entry.size > SIZE_MAX) records.push(['size', Buffer.from(String(entry.size))])
  if (!fitsHeader(entry.mtime)) records.push(['mtime', Buffer.from(timeText(entry.mtime))])
  for (const key of [...entry.xattrs.keys()].sort()) {
    records.push([XATTR_PREFIX + key, entry.xattrs.get(key) ?? EMPTY])
  }
  const header = block(entry, name ?? { prefix: EMPTY, name: entry.path.subarray(0, NAME_SIZE) })
  if (records.length === 0) return header
  return Buffer.concat([...extendedHeader(records), header])
}

const EMPTY = Buffer.alloc(0)

interface SplitPath {
  readonly prefix: Buffer
  readonly name: Buffer
}

/** A path as ustar stores it, in one field or two; undefined when it fits neither. */
function splitPath(path: Buffer): SplitPath | undefined {
  if (path.length <= NAME_SIZE) return { prefix: EMPTY, name: path }
  // The name may not be empty, so the slash of a directory doesn't count.
  const first = Math.max(path.length - NAME_SIZE - 1, 1)
  const slash = path.indexOf(0x2f, first)
  if (slash < 0 || slash > PREFIX_SIZE || slash >= path.length - 1) return undefined
  return { prefix: path.subarray(0, slash), name: path.subarray(slash + 1) }
}

function fitsHeader({ seconds, nanoseconds }: TarTime): boolean {
  return nanoseconds === 0 && seconds >= 0 && seconds <= SIZE_MAX
}

function timeText({ seconds, nanoseconds }: TarTime): string {
  if (nanoseconds === 0) return String(seconds)
  const before = seconds < 0
  const whole = before ? -seconds - 1 : seconds
  const fraction = String(before ? 1_000_000_000 - nanoseconds : nanoseconds).padStart(9, '0')
  return `${before ? '-' : ''}${whole}.${fraction.replace(/0+$/, '')}`
}

function block(entry: EntryHead, { prefix, name }: SplitPath): Buffer {
  const header = Buffer.alloc(BLOCK_SIZE)
  name.copy(header)
  octal(header, 100, 8, entry.mode)
  octal(header, 108, 8, entry.uid > ID_MAX ? 0 : entry.uid)
  octal(header, 116, 8, entry.gid > ID_MAX ? 0 : entry.gid)
  octal(header, 124, 12, entry.size > SIZE_MAX ? 0 : entry.size)
  octal(header, 136, 12, entry.mtime.seconds > SIZE_MAX ? 0 : Math.max(0, entry.mtime.seconds))
  header.write(TYPEFLAGS[entry.type], 156, 'latin1')
  entry.linkPath?.copy(header, 157, 0, NAME_SIZE)
  header.write('ustar\x0000', 257, 'latin1')
  octal(header, 329, 8, entry.devMajor)
  octal(header, 337, 8, entry.devMinor)
  prefix.copy(header, 345)
  return withChecksum(header)
}

function withChecksum(header: Buffer): Buffer {
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

function octal(header: Buffer, at: number, length: number, value: number): void {
  header.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
}

function extendedHeader(records: readonly (readonly [string, Buffer])[]): Buffer[] {
  const body = Buffer.concat(records.map(([key, value]) => record(key, value)))
  const header = Buffer.alloc(BLOCK_SIZE)
  header.write('././@PaxHeader', 'latin1')
  octal(header, 100, 8, 0o644)
  octal(header, 108, 8, 0)
  octal(header, 116, 8, 0)
  octal(header, 124, 12, body.length)
  octal(header, 136, 12, 0)
  header.write('x', 156, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  return [withChecksum(header), body, paddingFor(body.length)]
}

/** The zeros between the end of `size` bytes of content and the next block. */
export function paddingFor(size: number): Buffer {
  return ZEROS.subarray(0, (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE)
}

const ZEROS = Buffer.alloc(BLOCK_SIZE)

function record(key: string, value: Buffer): Buffer {
  // The length counts its own digits.
  const rest = 1 + key.length + 1 + value.length + 1
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return Buffer.concat([
    Buffer.from(`${length} ${key}=`, 'latin1'),
    value,
    Buffer.from('\n', 'latin1'),
  ])
}
