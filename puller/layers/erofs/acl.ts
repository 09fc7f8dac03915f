import { DrayError } from '#oci/error.ts'

const VERSION = 2
const HEADER_SIZE = 4
const ENTRY_SIZE = 8
const NO_ID = 0xffffffff

const TAG = { owner: 0x01, user: 0x02, owningGroup: 0x04, group: 0x08, mask: 0x10, other: 0x20 }
/** The order of the tags; `user` and `group` may come any number of times, `mask` only where one of them does. */
const ORDER = /^o(u*)g(G*)(m?)t$/
const LETTERS = new Map([
  [TAG.owner, 'o'],
  [TAG.user, 'u'],
  [TAG.owningGroup, 'g'],
  [TAG.group, 'G'],
  [TAG.mask, 'm'],
  [TAG.other, 't'],
])

/**
 * A POSIX ACL in the form of its extended attribute (linux/posix_acl_xattr.h), as the kernel keeps it: checked, with the ids of
 * named entries only.
 *
 * @param mode permission bits that an access ACL is brought in line with, as chmod(2) does; undefined for a default ACL
 * @returns undefined when the file needs none: it is empty, or says what the mode says; `unsupported` for another version
 * @throws LAYER_INVALID when the kernel refuses it
 */
export function normalizeAcl(
  value: Buffer,
  mode: number | undefined,
): Buffer | 'unsupported' | undefined {
  if (value.length < HEADER_SIZE) throw invalid()
  if (value.readUInt32LE(0) !== VERSION) return 'unsupported'
  if ((value.length - HEADER_SIZE) % ENTRY_SIZE !== 0) throw invalid()
  if (value.length === HEADER_SIZE) return undefined
  const match = ORDER.exec(tagsOf(value))
  if (match === null) throw invalid()
  const hasNamed = match[1] !== '' || match[2] !== ''
  const hasMask = match[3] !== ''
  if (hasNamed && !hasMask) throw invalid()
  if (mode !== undefined && !hasMask) return undefined
  return rewrite(value, mode)
}

function tagsOf(value: Buffer): string {
  let tags = ''
  for (let at = HEADER_SIZE; at < value.length; at += ENTRY_SIZE) {
    const tag = value.readUInt16LE(at)
    const isNamed = tag === TAG.user || tag === TAG.group
    if (value.readUInt16LE(at + 2) > 7) throw invalid()
    if (isNamed && value.readUInt32LE(at + 4) === NO_ID) throw invalid()
    tags += LETTERS.get(tag) ?? '?'
  }
  return tags
}

function rewrite(value: Buffer, mode: number | undefined): Buffer {
  const acl = Buffer.from(value)
  for (let at = HEADER_SIZE; at < acl.length; at += ENTRY_SIZE) {
    const tag = acl.readUInt16LE(at)
    if (tag === TAG.user || tag === TAG.group) continue
    acl.writeUInt32LE(NO_ID, at + 4)
    if (mode === undefined) continue
    if (tag === TAG.owner) acl.writeUInt16LE((mode >> 6) & 7, at + 2)
    if (tag === TAG.mask) acl.writeUInt16LE((mode >> 3) & 7, at + 2)
    if (tag === TAG.other) acl.writeUInt16LE(mode & 7, at + 2)
  }
  return acl
}

function invalid(): DrayError {
  return new DrayError('LAYER_INVALID', 'it has an invalid POSIX ACL')
}
