import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isDrayError } from '#oci/error.ts'
import {
  archive,
  directory,
  file,
  hardlink,
  header,
  long,
  member,
  pax,
  symlink,
} from '../tar/archive.ts'
import { treeByPath } from '../../support/tree.ts'
import { type Extraction, extractGuarded, extractInto, scratch } from './extraction.ts'

/** The tree without its root. */
function treeOf({ tree, error, escaped }: Extraction): Record<string, string> {
  if (error !== undefined) throw error
  assert.equal(escaped, false)
  const { '.': root, ...rest } = tree
  assert.match(root ?? '', /dir$/)
  return rest
}

describe('a layer is unpacked as a lower directory of overlay', () => {
  interface Case {
    readonly parts: readonly Buffer[]
    readonly tree: Readonly<Record<string, string>>
  }
  const cases: Readonly<Record<string, Case>> = {
    'files, directories and symlinks': {
      parts: [directory('d/'), file('d/f', 'abc'), symlink('d/s', 'f')],
      tree: { d: 'dir', 'd/f': 'file:3', 'd/s': 'link:f' },
    },
    'parents that it only implies': {
      parts: [file('a/b/c', 'x')],
      tree: { a: 'dir', 'a/b': 'dir', 'a/b/c': 'file:1' },
    },
    'a name with ./ and doubled slashes': {
      parts: [file('./a//b', 'x')],
      tree: { a: 'dir', 'a/b': 'file:1' },
    },
    'a path through a relative symlink': {
      parts: [directory('usr/lib/'), symlink('lib', 'usr/lib'), file('lib/x', 'x')],
      tree: { usr: 'dir', 'usr/lib': 'dir', lib: 'link:usr/lib', 'usr/lib/x': 'file:1' },
    },
    'a path through an absolute symlink, from the root of the layer': {
      parts: [directory('usr/'), symlink('u', '/usr'), file('u/x', 'x')],
      tree: { usr: 'dir', u: 'link:/usr', 'usr/x': 'file:1' },
    },
    'a path through a symlink that leads nowhere yet': {
      parts: [symlink('lib', 'usr/lib'), file('lib/x', 'x')],
      tree: { usr: 'dir', 'usr/lib': 'dir', lib: 'link:usr/lib', 'usr/lib/x': 'file:1' },
    },
    'a path through symlinks to symlinks': {
      parts: [symlink('a', 'b'), symlink('b', './c/../d'), file('a/x', 'x')],
      tree: { a: 'link:b', b: 'link:./c/../d', c: 'dir', d: 'dir', 'd/x': 'file:1' },
    },
    'a symlink in place of a file, and back': {
      parts: [file('a', 'x'), symlink('a', 'b'), symlink('c', 'd'), file('c', 'x')],
      tree: { a: 'link:b', c: 'file:1' },
    },
    'a file in place of a directory with contents': {
      parts: [file('d/e/f', 'x'), symlink('d/s', 'e'), file('d', 'yy')],
      tree: { d: 'file:2' },
    },
    'a directory in place of a file, which then hides lower layers': {
      parts: [file('d', 'x'), directory('d/'), file('d/f', 'x')],
      tree: { d: 'opaque dir', 'd/f': 'file:1' },
    },
    'a directory in place of a symlink, which then hides lower layers': {
      parts: [directory('e/'), symlink('d', 'e'), directory('d/'), file('d/f', 'x')],
      tree: { d: 'opaque dir', 'd/f': 'file:1', e: 'dir' },
    },
    'a directory listed after its contents, keeping them': {
      parts: [file('d/f', 'x'), directory('d/', 0o700), directory('d/', 0o711)],
      tree: { d: 'dir', 'd/f': 'file:1' },
    },
    'the last of several files of one name': {
      parts: [file('f', 'one'), file('f', 'three'), hardlink('g', 'f')],
      tree: { f: 'file:5', g: 'file:5' },
    },
    'hard links, to symlinks too, through symlinked parents': {
      parts: [
        file('d/f', 'x'),
        symlink('s', 'd'),
        hardlink('h', 's/f'),
        hardlink('t', 's'),
        file('t/g', 'yy'),
      ],
      tree: { d: 'dir', 'd/f': 'file:1', 'd/g': 'file:2', s: 'link:d', h: 'file:1', t: 'link:d' },
    },
    'a hard link to itself': {
      parts: [file('f', 'x'), hardlink('f', './f')],
      tree: { f: 'file:1' },
    },
    'a hard link in place of a directory': {
      parts: [file('f', 'x'), file('d/g'), hardlink('d', 'f')],
      tree: { f: 'file:1', d: 'file:1' },
    },
    'a fifo': { parts: [header({ name: 'p', type: '6' })], tree: { p: 'fifo' } },
    'a whiteout': { parts: [file('a/.wh.f')], tree: { a: 'dir', 'a/f': 'whiteout' } },
    'a whiteout through a symlink': {
      parts: [symlink('lib', 'usr/lib'), file('lib/.wh.x')],
      tree: { lib: 'link:usr/lib', usr: 'dir', 'usr/lib': 'dir', 'usr/lib/x': 'whiteout' },
    },
    'a whiteout with content, which is ignored': {
      parts: [file('.wh.f', 'content')],
      tree: { f: 'whiteout' },
    },
    'a whiteout twice': { parts: [file('.wh.f'), file('.wh.f')], tree: { f: 'whiteout' } },
    'a whiteout and then a file of that name': {
      parts: [file('.wh.f'), file('f', 'x')],
      tree: { f: 'file:1' },
    },
    'a file and then a whiteout of that name': {
      parts: [file('f', 'x'), file('.wh.f')],
      tree: { f: 'file:1' },
    },
    'a symlink and then a whiteout of that name': {
      parts: [symlink('f', 'x'), file('.wh.f')],
      tree: { f: 'link:x' },
    },
    'a whiteout and then a directory of that name, which starts empty': {
      parts: [file('.wh.d'), directory('d/'), file('d/f', 'x')],
      tree: { d: 'opaque dir', 'd/f': 'file:1' },
    },
    'a directory and then a whiteout of that name, which starts empty too': {
      parts: [directory('d/'), file('d/f', 'x'), file('.wh.d')],
      tree: { d: 'opaque dir', 'd/f': 'file:1' },
    },
    'a whiteout and then a file below it': {
      parts: [file('.wh.d'), file('d/f', 'x')],
      tree: { d: 'opaque dir', 'd/f': 'file:1' },
    },
    'an opaque mark before and after the contents it spares': {
      parts: [
        file('a/.wh..wh..opq'),
        file('a/f', 'x'),
        file('b/f', 'x'),
        file('b/.wh..wh..opq'),
        symlink('s', 'c'),
        file('s/.wh..wh..opq'),
      ],
      tree: {
        a: 'opaque dir',
        'a/f': 'file:1',
        b: 'opaque dir',
        'b/f': 'file:1',
        c: 'opaque dir',
        s: 'link:c',
      },
    },
    'no whiteouts where an opaque mark has hidden all': {
      parts: [file('a/b/.wh.f'), file('.wh.a'), file('a/.wh.g'), file('c/.wh.h')],
      tree: { a: 'opaque dir', 'a/b': 'dir', c: 'dir', 'c/h': 'whiteout' },
    },
    'no metadata of AUFS': {
      parts: [file('.wh..wh.aufs'), file('.wh..wh.plnk/1.2', 'x'), file('d/.wh..wh..tmp')],
      tree: {},
    },
    'names that contain .wh. elsewhere': {
      parts: [file('a.wh.b', 'x'), file('.whatever', 'x')],
      tree: { 'a.wh.b': 'file:1', '.whatever': 'file:1' },
    },
    'names that are no UTF-8, or have newlines and backslashes': {
      parts: [
        file('\xff\xfe', 'x'),
        file('a\nb\\c', 'x'),
        file('\xc3\xa9', 'x'),
        file('e\xcc\x81'),
      ],
      tree: {
        '\xff\xfe': 'file:1',
        'a\nb\\c': 'file:1',
        '\xc3\xa9': 'file:1',
        'e\xcc\x81': 'file:0',
      },
    },
  }
  for (const [what, { parts, tree }] of Object.entries(cases)) {
    it(`with ${what}`, (t) => {
      assert.deepEqual(treeOf(extractGuarded(t, archive(...parts))), tree)
    })
  }

  it('with modes, times and sparse content', (t) => {
    const dir = join(scratch(t), 'layer')
    extractInto(
      dir,
      archive(
        directory('./', 0o751),
        member({ name: 'ro', mode: 0o400, mtime: 5 }, 'x'),
        member({ name: 'suid', mode: 0o6755 }, 'x'),
        pax(['mtime', '-3.000000001']),
        directory('sticky/', 0o1777),
        file('sticky/f'),
        pax(['mtime', '7.123456789']),
        symlink('s', 'x'),
        pax(['mtime', '1.5']),
        file('half', 'x'),
        pax(['GNU.sparse.map', '1048576,1'], ['GNU.sparse.size', '2097152']),
        file('holes', 'x'),
      ),
    )
    const seen = treeByPath(dir, 'mode', 'mtimeNs', 'size')
    assert.equal(seen['.']?.mode, '751')
    assert.deepEqual(seen.ro, { mode: '400', mtimeNs: 5_000_000_000n, size: 1 })
    assert.equal(seen.suid?.mode, '6755')
    assert.deepEqual(seen.sticky, { mode: '1777', mtimeNs: -3_000_000_001n, size: 0 })
    assert.equal(seen.s?.mtimeNs, 7_123_456_789n)
    assert.equal(seen.half?.mtimeNs, 1_500_000_000n)
    assert.equal(seen.holes?.size, 2_097_152)
  })

  it('with contents of directories that the process itself could not enter', (t) => {
    const dir = join(scratch(t), 'layer')
    extractInto(dir, archive(directory('a/', 0o500), directory('a/b/', 0o500), file('a/b/f', 'x')))
    const seen = treeByPath(dir, 'mode')
    assert.deepEqual([seen.a?.mode, seen['a/b']?.mode], ['500', '500'])
  })
})

describe('what unpacking reports', () => {
  it('is the entries, the bytes and the implied directories', (t) => {
    const { result } = extractGuarded(
      t,
      archive(
        directory('listed/'),
        file('listed/f', 'abc'),
        file('b/a/f', 'de'),
        file('b/.wh.x'),
        file('\xff/f'),
        file('.wh.new'),
        file('new/f'),
      ),
    )
    assert.deepEqual(result, {
      entries: 7,
      bytes: 5,
      implied: ['', 'b', 'b/a', '\xff'],
      whiteoutParents: ['b'],
      opaqueRoot: false,
      skippedDevices: 0,
      skippedXattrs: 0,
    })
  })

  it('is a root that hides all lower layers', (t) => {
    const { result, tree } = extractGuarded(t, archive(file('.wh..wh..opq'), directory('./')))
    assert.deepEqual([result?.opaqueRoot, result?.implied, tree], [true, [], { '.': 'opaque dir' }])
  })

  it('is nothing for an empty archive', (t) => {
    const { result } = extractGuarded(t, Buffer.alloc(0))
    assert.deepEqual([result?.entries, result?.implied], [0, ['']])
  })

  it('counts devices that only root can make, and leaves out links to them', (t) => {
    const extraction = extractGuarded(
      t,
      archive(
        file('null', 'x'),
        header({ name: 'null', type: '3', major: 1, minor: 3 }),
        header({ name: 'disk', type: '4', major: 8, minor: 0 }),
        hardlink('link', 'disk'),
        file('disk', 'x'),
      ),
    )
    assert.equal(extraction.result?.skippedDevices, 2)
    assert.deepEqual(treeOf(extraction), { disk: 'file:1' })
  })
})

describe('a hostile layer', () => {
  // What it tries, and what it gets: a tree inside the layer, or LAYER_INVALID.
  const tries: Readonly<Record<string, readonly [Buffer[], Record<string, string> | 'refused']>> = {
    'a name with ..': [[file('../victim', 'x')], { victim: 'file:1' }],
    'a name with .. in the middle': [[file('a/../../victim', 'x')], { victim: 'file:1' }],
    'an absolute name': [[file('/victim', 'x')], { victim: 'file:1' }],
    'a PAX name with ..': [
      [pax(['path', '../outside/victim']), file('a', 'x')],
      { outside: 'dir', 'outside/victim': 'file:1' },
    ],
    'a GNU name with ..': [[long('L', '../victim'), file('a', 'x')], { victim: 'file:1' }],
    'a file through a symlink with ..': [
      [symlink('up', '../outside'), file('up/victim', 'x')],
      { up: 'link:../outside', outside: 'dir', 'outside/victim': 'file:1' },
    ],
    'a file through a symlink with many ..': [
      [directory('d/'), symlink('d/up', '../../../../outside'), file('d/up/victim', 'x')],
      { d: 'dir', 'd/up': 'link:../../../../outside', outside: 'dir', 'outside/victim': 'file:1' },
    ],
    'a file through an absolute symlink': [
      [symlink('tmp2', '/tmp'), file('tmp2/victim', 'x')],
      { tmp2: 'link:/tmp', tmp: 'dir', 'tmp/victim': 'file:1' },
    ],
    'a file over a symlink to a victim': [
      [symlink('s', '../victim'), file('s', 'x')],
      { s: 'file:1' },
    ],
    'a directory over a symlink to a victim': [
      [symlink('s', '../outside'), directory('s/', 0o777), file('s/victim', 'x')],
      { s: 'opaque dir', 's/victim': 'file:1' },
    ],
    'a whiteout through a symlink': [
      [symlink('s', '../outside'), file('s/.wh.victim')],
      { s: 'link:../outside', outside: 'dir', 'outside/victim': 'whiteout' },
    ],
    'an opaque mark through a symlink': [
      [symlink('s', '../outside'), file('s/.wh..wh..opq')],
      { s: 'link:../outside', outside: 'opaque dir' },
    ],
    'a symlink swapped in for a directory': [
      [directory('d/'), file('d/f', 'x'), symlink('d', '../outside'), file('d/victim', 'x')],
      { d: 'link:../outside', outside: 'dir', 'outside/victim': 'file:1' },
    ],
    'a file through a hard link to a symlink': [
      [symlink('s', '../outside'), hardlink('h', 's'), file('h/victim', 'x')],
      {
        s: 'link:../outside',
        h: 'link:../outside',
        outside: 'dir',
        'outside/victim': 'file:1',
      },
    ],
    'a hard link to a victim': [[hardlink('h', '../victim')], 'refused'],
    'a hard link to an absolute victim': [[hardlink('h', '/etc/passwd')], 'refused'],
    'a hard link through a symlink to a victim': [
      [symlink('s', '../outside'), hardlink('h', 's/victim')],
      'refused',
    ],
    'a hard link to a victim through a symlink chain': [
      [symlink('a', '..'), symlink('b', 'a/outside'), hardlink('h', 'b/victim'), file('h', 'x')],
      'refused',
    ],
    'a hard link to a directory': [[directory('d/'), hardlink('h', 'd')], 'refused'],
    'a hard link to the root': [[hardlink('h', './')], 'refused'],
    'a hard link to nothing': [[hardlink('h', '')], 'refused'],
    'a hard link to a whiteout': [[file('.wh.w'), hardlink('h', 'w')], 'refused'],
    'a hard link to a missing self': [[hardlink('h', 'h')], 'refused'],
    'a hard link before its target': [[hardlink('h', 'f'), file('f')], 'refused'],
    'a hard link into the directory that it replaces': [
      [file('d/f'), hardlink('d', 'd/f')],
      'refused',
    ],
    'a symlink that loops': [[symlink('a', 'b'), symlink('b', 'a'), file('a/x')], 'refused'],
    'a symlink to itself': [[symlink('a', 'a'), file('a/x')], 'refused'],
    'a symlink to nothing': [[symlink('a', '')], 'refused'],
    'a symlink target that is too long': [
      [pax(['linkpath', 'x'.repeat(5000)]), symlink('a', 'b')],
      'refused',
    ],
    'a file as a parent': [[file('f', 'x'), file('f/x')], 'refused'],
    'a fifo as a parent': [[header({ name: 'p', type: '6' }), directory('p/d/')], 'refused'],
    'a file as a parent behind a symlink': [
      [file('f', 'x'), symlink('s', 'f'), file('s/x')],
      'refused',
    ],
    'a file as the root': [[file('./', 'x')], 'refused'],
    'a symlink as the root': [[symlink('.', '../outside'), file('victim', 'x')], 'refused'],
    'a hard link as the root': [[file('f'), hardlink('..', 'f')], 'refused'],
    'a whiteout of nothing': [[file('a/.wh.')], 'refused'],
    'a whiteout of .': [[file('.wh..')], 'refused'],
    'a whiteout of ..': [[file('a/.wh...')], 'refused'],
    'a whiteout with something below': [[file('.wh.a/b')], 'refused'],
    'a whiteout device': [[header({ name: 'f', type: '3', major: 0, minor: 0 })], 'refused'],
    'a whiteout device in v7': [[header({ name: 'f', type: '3', magic: '' })], 'refused'],
    'a device with a large major number': [
      [header({ name: 'f', type: '3', major: 4096, minor: 0 })],
      'refused',
    ],
    'a device with a large minor number': [
      [header({ name: 'f', type: '4', major: 1, minor: 0x100000 })],
      'refused',
    ],
    'a name of 256 bytes': [[pax(['path', 'n'.repeat(256)]), file('a')], 'refused'],
    'a path of 4096 bytes': [[pax(['path', 'n/'.repeat(2048)]), file('a')], 'refused'],
  }
  for (const [what, [parts, expected]] of Object.entries(tries)) {
    it(`gets nowhere with ${what}`, (t) => {
      const extraction = extractGuarded(t, archive(...parts))
      assert.equal(extraction.escaped, false)
      if (expected === 'refused') {
        assert.ok(isDrayError(extraction.error, 'LAYER_INVALID'), String(extraction.error))
      } else {
        assert.deepEqual(treeOf(extraction), expected)
      }
    })
  }

  it('sets no mark of overlay', (t) => {
    const { error, nodes } = extractGuarded(
      t,
      archive(
        pax(
          ['SCHILY.xattr.user.overlay.opaque', 'y'],
          ['SCHILY.xattr.user.overlay.redirect', '/victim'],
          ['SCHILY.xattr.trusted.overlay.metacopy', ''],
        ),
        directory('d/'),
        pax(['SCHILY.xattr.user.overlay.whiteout', 'y']),
        file('f'),
      ),
    )
    assert.equal(error, undefined)
    for (const { xattrs } of nodes) assert.deepEqual(xattrs, {})
  })

  it('is stopped at its limits of entries, implied directories and bytes', (t) => {
    const many = archive(file('a'), file('b'), file('c'))
    const deep = archive(file('a/b/c/d'))
    const big = archive(file('a', 'xx'), file('b', 'xx'))
    for (const [tar, options] of [
      [many, { maxEntries: 2 }],
      [deep, { maxEntries: 3 }],
      [big, { maxBytes: 3 }],
    ] as const) {
      const { error } = extractGuarded(t, tar, { asRoot: false, ...options })
      assert.ok(isDrayError(error, 'LAYER_INVALID'), String(error))
    }
    const roomy = { asRoot: false, maxEntries: 4, maxBytes: 4 }
    for (const tar of [many, deep, big]) {
      assert.equal(extractGuarded(t, tar, roomy).error, undefined)
    }
  })

  it('is named in the error without control characters', (t) => {
    const { error } = extractGuarded(t, archive(file('f'), file('f/\x1b[2J\n')))
    assert.ok(isDrayError(error, 'LAYER_INVALID'))
    assert.match(error.message, /"f\/\\u001b\[2J\\n"/)
  })
})
