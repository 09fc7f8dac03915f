import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDrayError } from '#oci/error.ts'
import {
  archive,
  base256,
  directory,
  file,
  GNU,
  globalPax,
  hardlink,
  header,
  long,
  member,
  padded,
  pax,
  type RawHeader,
  symlink,
} from './archive.ts'
import { collect } from './collect.ts'

const isTarInvalid = (error: unknown) => isDrayError(error, 'TAR_INVALID')

describe('the tar reader', () => {
  it('reads every kind of entry with its attributes', () => {
    const entries = collect(
      archive(
        member({ name: 'f', mode: 0o4755, uid: 1, gid: 2, mtime: 3 }, 'hello'),
        directory('d/'),
        symlink('s', '../t'),
        hardlink('h', 'f'),
        header({ name: 'c', type: '3', major: 1, minor: 3 }),
        header({ name: 'b', type: '4', major: 8, minor: 1 }),
        header({ name: 'p', type: '6' }),
        member({ name: 'contiguous', type: '7' }, 'x'),
      ),
    )
    assert.deepEqual(
      entries.map(({ path, type, linkPath }) => [path, type, linkPath]),
      [
        ['f', 'file', undefined],
        ['d/', 'directory', undefined],
        ['s', 'symlink', '../t'],
        ['h', 'hardlink', 'f'],
        ['c', 'character', undefined],
        ['b', 'block', undefined],
        ['p', 'fifo', undefined],
        ['contiguous', 'file', undefined],
      ],
    )
    const [first, , , , device] = entries
    assert.deepEqual(
      [first?.mode, first?.uid, first?.gid, first?.mtime, first?.content],
      [0o4755, 1, 2, { seconds: 3, nanoseconds: 0 }, 'hello'],
    )
    assert.deepEqual([device?.devMajor, device?.devMinor], [1, 3])
  })

  it('says where the content of each file begins in the archive', () => {
    const tar = archive(file('a', 'first'), long('L', 'b'.repeat(200)), file('b', 'second'))
    for (const { dataOffset, storedSize, content } of collect(tar)) {
      assert.equal(tar.toString('latin1', dataOffset, dataOffset + storedSize), content)
    }
  })

  it('joins prefix and name of ustar and star headers, and of no others', () => {
    const star: RawHeader = { name: 'n', prefix: 'p'.repeat(131), patches: [[508, 'tar\0']] }
    const paths = collect(
      archive(
        header({ name: 'n', prefix: 'p'.repeat(155) }),
        header({ ...star, patches: [[476, '12345678901'], ...(star.patches ?? [])] }),
        header({ name: 'n', magic: GNU, patches: [[345, '01234567012']] }),
        header({ name: 'n', magic: '', patches: [[345, 'junk']] }),
      ),
    ).map(({ path }) => path)
    assert.deepEqual(paths, [`${'p'.repeat(155)}/n`, `${'p'.repeat(131)}/n`, 'n', 'n'])
  })

  it('takes a name of a hundred bytes, and bytes that are no UTF-8', () => {
    const name = `\xff\xfe\n${'x'.repeat(97)}`
    assert.deepEqual(
      collect(archive(file(name))).map(({ path }) => path),
      [name],
    )
  })

  it('takes a v7 file with a slash at the end for a directory', () => {
    const entries = collect(
      archive(
        header({ name: 'old/', type: '\0', magic: '' }),
        header({ name: 'old', type: '\0', magic: '' }),
        header({ name: 'new/', type: '0' }),
      ),
    )
    assert.deepEqual(
      entries.map(({ type }) => type),
      ['directory', 'file', 'file'],
    )
  })

  it('reads numbers in base 256, negative times too', () => {
    const [entry] = collect(archive(member({ size: base256(5n), mtime: base256(-2n) }, 'hello')))
    assert.deepEqual([entry?.content, entry?.mtime.seconds], ['hello', -2])
  })

  it('reads octal numbers with any padding', () => {
    for (const text of [
      '00000000005',
      '5\0garbage..',
      '         5 ',
      '    5 \0    ',
      '00000000005 ',
    ]) {
      const size = Buffer.alloc(12)
      size.write(text, 'latin1')
      assert.equal(collect(archive(member({ size }, 'hello')))[0]?.size, 5, text)
    }
  })

  it('accepts a checksum over signed bytes', () => {
    const name = 'h\xe9'
    const sum = header({ name }).reduce(
      (total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : (byte << 24) >> 24),
      0,
    )
    assert.equal(collect(archive(header({ name, checksum: sum })))[0]?.path, name)
  })

  it('gives links, devices, fifos and directories no content, whatever their size says', () => {
    for (const type of ['1', '2', '3', '4', '5', '6']) {
      const entries = collect(archive(header({ type, size: 512 }), file('next')))
      assert.deepEqual(
        entries.map(({ size, path }) => [size, path]),
        [
          [0, 'file'],
          [0, 'next'],
        ],
      )
    }
  })
})

describe('extended headers', () => {
  it('override the header', () => {
    const [entry] = collect(
      archive(
        pax(
          ['path', 'long/name'],
          ['uid', '4000000000'],
          ['gid', '3000000000'],
          ['mtime', '-1.25'],
          ['size', '5'],
          ['SCHILY.xattr.user.key', 'a=\nb\0c'],
          ['SCHILY.xattr.user.empty', ''],
          ['comment', 'ignored'],
        ),
        member({ size: 0 }, 'hello'),
      ),
    )
    assert.deepEqual(
      [entry?.path, entry?.uid, entry?.gid, entry?.mtime, entry?.content, entry?.xattrs],
      [
        'long/name',
        4_000_000_000,
        3_000_000_000,
        { seconds: -2, nanoseconds: 750_000_000 },
        'hello',
        { 'user.key': 'a=\nb\0c', 'user.empty': '' },
      ],
    )
  })

  it('govern by their size what is skipped, so that nothing is smuggled in', () => {
    const smuggled = Buffer.concat([file('smuggled')])
    const tar = archive(pax(['size', '512']), member({ name: 'a', size: 0 }, smuggled))
    assert.deepEqual(
      collect(tar).map(({ path }) => path),
      ['a'],
    )
  })

  it('give names in the order GNU sparse, GNU long, PAX, header', () => {
    const sparse = pax(
      ['GNU.sparse.major', '0'],
      ['GNU.sparse.minor', '1'],
      ['GNU.sparse.name', 'sparse'],
      ['GNU.sparse.size', '0'],
      ['path', 'pax'],
    )
    const names = collect(
      archive(
        long('L', 'long'),
        pax(['path', 'pax']),
        file('header'),
        pax(['path', 'pax']),
        file('header'),
        pax(['path', '']),
        file('header'),
        long('L', 'long'),
        sparse,
        file('header'),
        long('K', 'longlink'),
        pax(['linkpath', 'paxlink']),
        symlink('s', 'headerlink'),
      ),
    ).map(({ path, linkPath }) => linkPath ?? path)
    assert.deepEqual(names, ['long', 'pax', 'header', 'sparse', 'longlink'])
  })

  it('apply to one entry, the last of each kind', () => {
    const names = collect(
      archive(pax(['path', 'one'], ['uid', '7']), pax(['path', 'two']), file('a'), file('b')),
    )
    assert.deepEqual(
      names.map(({ path, uid }) => [path, uid]),
      [
        ['two', 0],
        ['b', 0],
      ],
    )
  })

  it('may be global when they name and size nothing', () => {
    const tar = archive(globalPax(['comment', 'abcd'], ['mtime', '5']), file('a'))
    assert.deepEqual(
      collect(tar).map(({ path, mtime }) => [path, mtime.seconds]),
      [['a', 1_000_000_000]],
    )
    for (const key of ['path', 'linkpath', 'size', 'GNU.sparse.name']) {
      assert.throws(() => collect(archive(globalPax([key, '1']), file('a'))), isTarInvalid, key)
    }
    assert.throws(() => collect(archive(member({ type: 'g' }, 'junk'), file('a'))), isTarInvalid)
  })

  const malformed: Readonly<Record<string, string | Buffer>> = {
    'no length': ' path=a\n',
    'a length of letters': 'xx path=a\n',
    'a length too long': '11 path=a\n',
    'a length too short': '9 path=a\n\n',
    'a length beyond the end': '99 path=a\n',
    'a negative length': '-5 path=a\n',
    'a huge length': '99999999999999999999 path=a\n',
    'no newline': '10 path=abc',
    'no equals sign': '9 pathaaa\n',
    'an empty key': '5 =a\n',
    'a NUL in a key': '11 pa\0th=a\n',
    'a NUL in a path': '11 path=a\0\n',
    'bytes after the last record': '10 path=a\n\0\0',
    'a size of letters': '11 size=ten\n',
    'a negative size': '10 size=-1\n',
    'a fractional size': '11 size=1.5\n',
    'a size beyond 2^53': '24 size=9007199254740992\n',
    'a uid beyond 32 bits': '18 uid=4294967295\n',
    'a negative uid': '9 uid=-1\n',
    'a time of letters': '13 mtime=now\n',
    'a time beyond 2^53': '27 mtime=99999999999999999\n',
    'an odd sparse map': '22 GNU.sparse.map=1\n',
    'an unknown sparse version': '22 GNU.sparse.major=2\n',
  }
  for (const [what, body] of Object.entries(malformed)) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => collect(archive(member({ type: 'x' }, body), file('a'))), isTarInvalid)
    })
  }

  it('are refused over 1 MiB, and before nothing', () => {
    const large = header({ type: 'x', size: 1024 * 1024 + 1 })
    assert.throws(() => collect(large), isTarInvalid)
    assert.throws(() => collect(archive(pax(['path', 'a']))), isTarInvalid)
    assert.throws(() => collect(pax(['path', 'a'])), isTarInvalid)
  })
})

describe('the end of an archive', () => {
  it('is two zero blocks, whatever follows', () => {
    const tar = Buffer.concat([archive(file('a')), Buffer.from('trailing junk'), file('b')])
    assert.deepEqual(
      collect(tar).map(({ path }) => path),
      ['a'],
    )
  })

  it('may come without zero blocks, or with one', () => {
    assert.equal(collect(file('a')).length, 1)
    assert.equal(collect(file('a'), Buffer.alloc(512)).length, 1)
    assert.equal(collect().length, 0)
  })

  it('is not one zero block between entries', () => {
    assert.throws(() => collect(file('a'), Buffer.alloc(512), file('b')), isTarInvalid)
  })
})

describe('a damaged header', () => {
  const damaged: Readonly<Record<string, Buffer>> = {
    'a wrong checksum': header({ checksum: 1 }),
    'an unknown type': header({ type: 'Z' }),
    'a volume label': header({ type: 'V', magic: GNU }),
    'a GNU sparse file outside of the GNU format': header({ type: 'S' }),
    'a size of letters': header({ size: Buffer.from('abcdefghijk\0') }),
    'a size with a digit 8': header({ size: Buffer.from('00000000008\0') }),
    'a size with a gap': header({ size: Buffer.from('1 1        \0') }),
    'a negative size': header({ size: base256(-1n) }),
    'a size beyond 2^53': header({ size: base256(2n ** 53n) }),
    'a size beyond 2^63': header({ size: Buffer.alloc(12, 0xbf) }),
    'a negative uid': header({ patches: [[108, Buffer.alloc(8, 0xff)]] }),
    'a negative sparse size': header({
      type: 'S',
      magic: GNU,
      patches: [[483, base256(-1n)]],
    }),
  }
  for (const [what, block] of Object.entries(damaged)) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => collect(archive(block)), isTarInvalid)
    })
  }
})

describe('a sparse file', () => {
  const sparse01 = (map: string, size: number, ...more: [string, string][]) =>
    pax(
      ['GNU.sparse.major', '0'],
      ['GNU.sparse.minor', '1'],
      ['GNU.sparse.size', String(size)],
      ['GNU.sparse.map', map],
      ...more,
    )

  it('is read in PAX formats 0.0, 0.1 and 1.0', () => {
    const hole = '\0'.repeat(3)
    const v00 = pax(
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.numblocks', '2'],
      ['GNU.sparse.offset', '3'],
      ['GNU.sparse.numbytes', '2'],
      ['GNU.sparse.offset', '8'],
      ['GNU.sparse.numbytes', '1'],
    )
    const v10 = pax(
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '10'],
      ['GNU.sparse.name', 'real'],
    )
    const map = padded(Buffer.from('2\n3\n2\n8\n1\n'))
    const tar = archive(
      v00,
      file('a', 'abc'),
      sparse01('3,2,8,1', 10),
      file('b', 'abc'),
      v10,
      member({ name: 'c' }, Buffer.concat([map, Buffer.from('abc')])),
    )
    const entries = collect(tar)
    for (const entry of entries) {
      assert.equal(entry.content, `${hole}ab${hole}c\0`)
      assert.deepEqual(entry.sparse, [
        { offset: 3, length: 2 },
        { offset: 8, length: 1 },
      ])
      assert.equal(tar.toString('latin1', entry.dataOffset, entry.dataOffset + 3), 'abc')
      assert.equal(entry.storedSize, 3)
    }
    assert.deepEqual(
      entries.map(({ path }) => path),
      ['a', 'b', 'real'],
    )
  })

  it('is read in the old GNU format, with maps of several blocks', () => {
    const count = 4 + 21 + 2
    const runs = Array.from({ length: count }, (_, index) =>
      Buffer.from(`${octal12(index * 4)}${octal12(1)}`, 'latin1'),
    )
    const extension = (slots: Buffer[], more: number) => {
      const block = Buffer.alloc(512)
      Buffer.concat(slots).copy(block)
      block[504] = more
      return block
    }
    const tar = archive(
      header({
        type: 'S',
        magic: GNU,
        size: count,
        patches: [
          [386, Buffer.concat(runs.slice(0, 4))],
          [482, Buffer.from([1])],
          [483, octal12(1000)],
        ],
      }),
      extension(runs.slice(4, 25), 1),
      extension(runs.slice(25), 0),
      padded(Buffer.from('x'.repeat(count))),
      file('next'),
    )
    const [entry, next] = collect(tar)
    assert.equal(entry?.content, 'x\0\0\0'.repeat(count).padEnd(1000, '\0'))
    assert.equal(next?.path, 'next')
  })

  const refused: Readonly<Record<string, Buffer>> = {
    'overlapping runs': Buffer.concat([sparse01('0,2,1,1', 10), file('a', 'abc')]),
    'descending runs': Buffer.concat([sparse01('5,2,0,1', 10), file('a', 'abc')]),
    'a run beyond the end': Buffer.concat([sparse01('8,3', 10), file('a', 'abc')]),
    'less content than runs': Buffer.concat([sparse01('0,4', 10), file('a', 'abc')]),
    'more content than runs': Buffer.concat([sparse01('0,2', 10), file('a', 'abc')]),
    'a run beyond 2^53': Buffer.concat([
      sparse01('9007199254740991,9007199254740991', 10),
      file('a', 'abc'),
    ]),
    'a map with letters': Buffer.concat([sparse01('0,x', 10), file('a', 'abc')]),
    'a type that has no content': Buffer.concat([sparse01('0,0', 0), directory('d')]),
  }
  for (const [what, bytes] of Object.entries(refused)) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => collect(archive(bytes)), isTarInvalid)
    })
  }

  const maps: Readonly<Record<string, string>> = {
    'a count of letters': 'x\n',
    'more numbers than content': '99999\n0\n0\n',
    'a number without end': '1'.repeat(512),
    'a negative number': '1\n-1\n2\n',
  }
  for (const [what, map] of Object.entries(maps)) {
    it(`is refused in format 1.0 with ${what}`, () => {
      const head = pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'])
      const tar = archive(head, member({}, padded(Buffer.from(map))))
      assert.throws(() => collect(tar), isTarInvalid)
    })
  }
})

function octal12(value: number): string {
  return `${value.toString(8).padStart(11, '0')}\0`
}
