/** Tar archives written field by field, so that tests can say what no tar program would. */

export interface RawHeader {
  readonly name?: string
  readonly type?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** A number, or the raw twelve bytes. */
  readonly size?: number | Buffer
  readonly mtime?: number | Buffer
  readonly link?: string
  /** `ustar\0` + `00` by default; '' makes a v7 header. */
  readonly magic?: string
  readonly prefix?: string
  readonly major?: number
  readonly minor?: number
  /** Bytes put over the header at an offset, before the checksum is made. */
  readonly patches?: readonly (readonly [number, Buffer | string])[]
  readonly checksum?: number
}

export const USTAR = 'ustar\x0000'
export const GNU = 'ustar  \0'

/** One header block. Strings are binary strings: one character a byte. */
export function header(fields: RawHeader): Buffer {
  const block = Buffer.alloc(512)
  block.write(fields.name ?? 'file', 0, 'latin1')
  octal(block, 100, 8, fields.mode ?? 0o644)
  octal(block, 108, 8, fields.uid ?? 0)
  octal(block, 116, 8, fields.gid ?? 0)
  number(block, 124, fields.size ?? 0)
  number(block, 136, fields.mtime ?? 1_000_000_000)
  block.write(fields.type ?? '0', 156, 'latin1')
  block.write(fields.link ?? '', 157, 'latin1')
  block.write(fields.magic ?? USTAR, 257, 'latin1')
  if (fields.major !== undefined) octal(block, 329, 8, fields.major)
  if (fields.minor !== undefined) octal(block, 337, 8, fields.minor)
  block.write(fields.prefix ?? '', 345, 'latin1')
  for (const [at, bytes] of fields.patches ?? []) Buffer.from(bytes).copy(block, at)
  block.fill(0x20, 148, 156)
  const sum = fields.checksum ?? block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** A header with its content and padding; the size is the content's unless given. */
export function member(fields: RawHeader, content: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([header({ size: bytes.length, ...fields }), padded(bytes)])
}

export function file(name: string, content = ''): Buffer {
  return member({ name }, content)
}

export function directory(name: string, mode = 0o755): Buffer {
  return header({ name, type: '5', mode })
}

export function symlink(name: string, link: string): Buffer {
  return header({ name, type: '2', link })
}

export function hardlink(name: string, link: string): Buffer {
  return header({ name, type: '1', link })
}

/** A PAX extended header; `records` as keys and values, repeated keys allowed. */
export function pax(...records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return member({ name: 'PaxHeaders/x', type: 'x' }, paxBody(records))
}

/** A PAX global header. */
export function globalPax(...records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return member({ name: 'pax_global_header', type: 'g' }, paxBody(records))
}

function paxBody(records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return Buffer.concat(records.map(([key, value]) => record(key, Buffer.from(value))))
}

/** A GNU long name (`L`) or long link (`K`). */
export function long(type: 'L' | 'K', name: string): Buffer {
  return member({ name: '././@LongLink', type, magic: GNU }, `${name}\0`)
}

export function archive(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

/** A base-256 field of twelve bytes. */
export function base256(value: bigint): Buffer {
  const field = Buffer.alloc(12, value < 0n ? 0xff : 0)
  field.writeBigInt64BE(value, 4)
  if (value >= 0n) field[0] = 0x80
  return field
}

export function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
}

function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.byteLength(key) + value.length + 3
  let length = rest
  while (length !== rest + String(length).length) length = rest + String(length).length
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')])
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
}

function number(block: Buffer, at: number, value: number | Buffer): void {
  if (typeof value === 'number') octal(block, at, 12, value)
  else value.copy(block, at)
}
