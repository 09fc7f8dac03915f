import { DrayError } from '#oci/error.ts'
import { isOverlayXattr } from '../../tar/xattr-names.ts'
import type { Attributes } from '../tree.ts'
import { normalizeAcl } from './acl.ts'
import type { InodeType } from './disk.ts'

/** An attribute in EROFS's terms: a number for the start of its name, and the rest. */
interface Xattr {
  readonly index: number
  /** Binary string. */
  readonly name: string
  readonly value: Buffer
}

export interface EncodedXattrs {
  /** What stands behind the inode; empty when there is no attribute. */
  readonly bytes: Buffer
  /** How many were left out because the file can't have them. */
  readonly skipped: number
}

const ACL_ACCESS = 'system.posix_acl_access'
const ACL_DEFAULT = 'system.posix_acl_default'
const INDEX = { user: 1, aclAccess: 2, aclDefault: 3, trusted: 4, security: 6 } as const

const HEADER_SIZE = 12
const ENTRY_HEAD_SIZE = 4
const NAME_LIMIT = 255 // linux/limits.h
const VALUE_LIMIT = 0xffff
const TOTAL_LIMIT = HEADER_SIZE + 4 * 0xfffe

const NONE: EncodedXattrs = { bytes: Buffer.alloc(0), skipped: 0 }

/**
 * The extended attributes of an inode as the kernel would let root set them: overlay's own are left out, and so are those that
 * the namespace or the type of file doesn't allow.
 *
 * @param isOpaque whether the directory carries overlay's mark
 * @throws LAYER_INVALID for one that the kernel refuses
 */
export function encodeXattrs(
  { mode, xattrs }: Attributes,
  type: InodeType,
  isOpaque = false,
): EncodedXattrs {
  if (xattrs.size === 0 && !isOpaque) return NONE
  const kept: Xattr[] = []
  let skipped = 0
  for (const [name, value] of xattrs) {
    if (isOverlayXattr(name)) continue
    const xattr = convert(name, value, { type, mode })
    if (xattr === 'unsupported') skipped++
    else if (xattr !== undefined) kept.push(xattr)
  }
  if (isOpaque) {
    kept.push({ index: INDEX.trusted, name: 'overlay.opaque', value: Buffer.from('y') })
  }
  return { bytes: encode(kept), skipped }
}

function convert(
  name: string,
  value: Buffer,
  { type, mode }: { readonly type: InodeType; readonly mode: number },
): Xattr | 'unsupported' | undefined {
  if (name.length > NAME_LIMIT) throw invalid('the name of an extended attribute is too long')
  if (value.length > VALUE_LIMIT) throw invalid(`its attribute ${name} is too large`)
  if (name === ACL_ACCESS || name === ACL_DEFAULT) return convertAcl(name, value, { type, mode })
  const match = /^(user|trusted|security)\.(.*)$/s.exec(name)
  if (match === null) return 'unsupported'
  const [, namespace, rest = ''] = match
  if (rest === '') throw invalid(`the name of its attribute ${name} is not complete`)
  if (namespace === 'user' && type !== 'file' && type !== 'directory') return 'unsupported'
  if (name === 'security.capability') checkCapability(value)
  return { index: INDEX[namespace as 'user' | 'trusted' | 'security'], name: rest, value }
}

function convertAcl(
  name: string,
  value: Buffer,
  { type, mode }: { readonly type: InodeType; readonly mode: number },
): Xattr | 'unsupported' | undefined {
  if (type === 'symlink') return 'unsupported'
  const isAccess = name === ACL_ACCESS
  const acl = normalizeAcl(value, isAccess ? mode : undefined)
  if (acl === undefined || acl === 'unsupported') return acl
  if (isAccess) return { index: INDEX.aclAccess, name: '', value: acl }
  if (type === 'directory') return { index: INDEX.aclDefault, name: '', value: acl }
  throw invalid('it has a default ACL and is no directory')
}

/** The two versions of capabilities that the kernel takes (linux/capability.h). */
function checkCapability(value: Buffer): void {
  const version = value.length < 4 ? 0 : value.readUInt32LE(0) >>> 24
  if (value.length === 20 && version === 2) return
  if (value.length === 24 && version === 3) return
  throw invalid('it has invalid capabilities')
}

/** In an order of their own, so that equal attributes are equal bytes. */
function encode(xattrs: readonly Xattr[]): Buffer {
  if (xattrs.length === 0) return NONE.bytes
  const entries = xattrs
    .toSorted((a, b) => a.index - b.index || (a.name < b.name ? -1 : 1))
    .map(encodeEntry)
  const bytes = Buffer.concat([Buffer.alloc(HEADER_SIZE), ...entries])
  if (bytes.length > TOTAL_LIMIT) throw invalid('it has too many extended attributes')
  return bytes
}

function encodeEntry({ index, name, value }: Xattr): Buffer {
  const length = ENTRY_HEAD_SIZE + name.length + value.length
  const bytes = Buffer.alloc(Math.ceil(length / 4) * 4)
  bytes.writeUInt8(name.length, 0)
  bytes.writeUInt8(index, 1)
  bytes.writeUInt16LE(value.length, 2)
  bytes.write(name, ENTRY_HEAD_SIZE, 'latin1')
  value.copy(bytes, ENTRY_HEAD_SIZE + name.length)
  return bytes
}

function invalid(what: string): DrayError {
  return new DrayError('LAYER_INVALID', what)
}
