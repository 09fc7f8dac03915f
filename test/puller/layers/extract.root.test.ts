import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { isDrayError } from '#oci/error.ts'
import { describeTree, type TreeNode } from '../../support/tree.ts'
import { archive, directory, file, hardlink, header, member, pax, symlink } from '../tar/archive.ts'
import { extractGuarded, extractInto, scratch } from './extraction.ts'

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')
/** user::rw-, user:1000:r--, group::r--, mask::r--, other::--- (acl(5), linux/posix_acl_xattr.h) */
const ACL = Buffer.from(
  [
    '02000000',
    '01000600ffffffff',
    '02000400e8030000',
    '04000400ffffffff',
    '10000400ffffffff',
    '20000000ffffffff',
  ].join(''),
  'hex',
)

function unpack(t: TestContext, ...parts: readonly Buffer[]): Record<string, TreeNode> {
  const dir = join(scratch(t), 'layer')
  extractInto(dir, archive(...parts), { asRoot: true })
  return Object.fromEntries(describeTree(dir).map((node) => [node.path, node]))
}

describe('a layer unpacked by root', () => {
  it('has the owners of its entries, and modes that changing the owner would have cut', (t) => {
    const seen = unpack(
      t,
      member({ name: './', type: '5', uid: 1, gid: 2, mode: 0o2751 }),
      member({ name: 'f', uid: 1000, gid: 1001, mode: 0o6755 }, 'x'),
      member({ name: 'd/', type: '5', uid: 5, mode: 0o3770 }),
      member({ name: 's', type: '2', link: 'f', uid: 7, gid: 8 }),
      member({ name: 'p', type: '6', uid: 9, mode: 0o666 }),
      pax(['uid', '4294967294'], ['gid', '3000000000']),
      file('big'),
      file('implied/f'),
    )
    const owners = Object.fromEntries(
      Object.entries(seen).map(([path, { uid, gid, mode }]) => [path, `${uid}:${gid} ${mode}`]),
    )
    assert.deepEqual(owners, {
      '.': '1:2 2751',
      f: '1000:1001 6755',
      d: '5:0 3770',
      s: '7:8 777',
      p: '9:0 666',
      big: '4294967294:3000000000 644',
      implied: '0:0 755',
      'implied/f': '0:0 644',
    })
    assert.equal(seen.implied?.mtimeNs, 0n)
  })

  it('has its devices, up to the largest numbers', (t) => {
    const seen = unpack(
      t,
      header({ name: 'null', type: '3', major: 1, minor: 3, mode: 0o666, gid: 5 }),
      header({ name: 'disk', type: '4', major: 4095, minor: 0xfffff, mode: 0o660, mtime: 5 }),
      header({ name: 'zero', type: '4', major: 0, minor: 0 }),
      hardlink('again', 'null'),
    )
    const { null: device, disk, zero, again } = seen
    assert.deepEqual([device?.type, device?.rdev, device?.mode], ['character', 0x103n, '666'])
    assert.deepEqual(
      [disk?.type, disk?.rdev, disk?.mtimeNs],
      ['block', 0xffffffffn, 5_000_000_000n],
    )
    assert.deepEqual([zero?.type, again?.type, again?.nlink], ['block', 'character', 2])
  })

  it('has capabilities, ACLs and other xattrs, on symlinks and read-only files too', (t) => {
    const seen = unpack(
      t,
      pax(['SCHILY.xattr.security.capability', CAPABILITY], ['SCHILY.xattr.user.n', 'v\0w']),
      member({ name: 'ping', mode: 0o4555, uid: 5 }, 'x'),
      pax(['SCHILY.xattr.system.posix_acl_access', ACL]),
      member({ name: 'acl', mode: 0o640 }, 'x'),
      pax(['SCHILY.xattr.system.posix_acl_default', ACL]),
      directory('d/', 0o750),
      file('d/inside'),
      directory('d/sub/'),
      pax(['SCHILY.xattr.trusted.t', 'x']),
      symlink('s', 'ping'),
    )
    assert.deepEqual(seen.ping?.xattrs, {
      'security.capability': CAPABILITY.toString('hex'),
      'user.n': Buffer.from('v\0w').toString('hex'),
    })
    assert.equal(seen.ping?.mode, '4555')
    assert.deepEqual(seen.acl?.xattrs, { 'system.posix_acl_access': ACL.toString('hex') })
    assert.equal(seen.acl?.mode, '640')
    assert.deepEqual(seen.d?.xattrs, { 'system.posix_acl_default': ACL.toString('hex') })
    // A default ACL is for what the container makes later, not for what the layer brings.
    assert.deepEqual([seen['d/inside']?.xattrs, seen['d/sub']?.xattrs], [{}, {}])
    assert.deepEqual([seen['d/inside']?.mode, seen['d/sub']?.mode], ['644', '755'])
    assert.deepEqual(seen.s?.xattrs, { 'trusted.t': '78' })
  })

  it('leaves out xattrs that the file cannot have, and counts them', (t) => {
    const extraction = extractGuarded(
      t,
      archive(pax(['SCHILY.xattr.user.a', 'b']), symlink('s', 't')),
      { asRoot: true },
    )
    assert.equal(extraction.error, undefined)
    assert.equal(extraction.result?.skippedXattrs, 1)
  })

  it('is refused for an xattr that the kernel refuses', (t) => {
    for (const record of [
      ['SCHILY.xattr.security.capability', 'nonsense'],
      [`SCHILY.xattr.user.${'n'.repeat(300)}`, 'x'],
      ['SCHILY.xattr.user.large', 'x'.repeat(65_537)],
    ] as const) {
      const { error } = extractGuarded(t, archive(pax(record), file('f')), { asRoot: true })
      assert.ok(isDrayError(error, 'LAYER_INVALID'), String(error))
    }
  })

  it('sets no mark of overlay', (t) => {
    const seen = unpack(
      t,
      pax(
        ['SCHILY.xattr.trusted.overlay.opaque', 'y'],
        ['SCHILY.xattr.trusted.overlay.redirect', '/etc'],
        ['SCHILY.xattr.user.overlay.opaque', 'y'],
      ),
      directory('d/'),
      pax(['SCHILY.xattr.trusted.overlay.metacopy', '']),
      file('f'),
    )
    assert.deepEqual([seen.d?.xattrs, seen.f?.xattrs], [{}, {}])
  })

  it('hides of lower layers what its whiteouts and opaque marks say, once mounted', (t) => {
    const dir = scratch(t)
    const lower = [
      ...['gone', 'kept', 'replaced', 'opaque/old', 'again/old', 'linked/old'].map((name) =>
        file(name, 'lower'),
      ),
    ]
    const upper = [
      file('.wh.gone'),
      file('replaced', 'upper'),
      file('.wh.replaced'),
      file('opaque/new', 'upper'),
      file('opaque/.wh..wh..opq'),
      directory('again/'),
      file('.wh.again'),
      symlink('linked', 'kept'),
    ]
    extractInto(join(dir, 'lower'), archive(...lower), { asRoot: true })
    extractInto(join(dir, 'upper'), archive(...upper), { asRoot: true })
    const merged = join(dir, 'merged')
    mkdirSync(merged)
    const lowerdir = `lowerdir=${join(dir, 'upper')}:${join(dir, 'lower')}`
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', lowerdir, merged])
    try {
      const seen = describeTree(merged).map(({ path, type, size }) => `${path} ${type} ${size}`)
      assert.deepEqual(seen, [
        '. directory 0',
        'again directory 0',
        'kept file 5',
        'linked symlink 0',
        'opaque directory 0',
        'opaque/new file 5',
        'replaced file 5',
      ])
    } finally {
      execFileSync('umount', [merged])
    }
  })
})
