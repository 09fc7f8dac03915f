import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isDrayError } from '#oci/error.ts'
import { setTimes, setXattr } from '#puller/sys.ts'
import { encodeHeader, type EntryHead } from '#puller/tar/encode.ts'
import { createTarReader } from '#puller/tar/reader.ts'
import { writeTar } from '#puller/tar/writer.ts'
import { compareTrees, describeTree } from '../../support/tree.ts'
import { extractInto, scratch } from '../layers/extraction.ts'
import { gnuExtract } from '../layers/gnu-tar.ts'
import { collect } from './collect.ts'

async function pack(dir: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(dir)))
}

function makeTree(dir: string): void {
  mkdirSync(join(dir, 'b/empty'), { recursive: true })
  writeFileSync(join(dir, 'b/file'), 'content')
  writeFileSync(join(dir, 'b.txt'), '')
  writeFileSync(join(dir, 'B'), 'x'.repeat(512))
  writeFileSync(Buffer.from(join(dir, '\xff'), 'latin1'), 'y'.repeat(3_000_000))
  linkSync(join(dir, 'b/file'), join(dir, 'a'))
  symlinkSync('b/file', join(dir, 's'))
  const deep = join(dir, 'deep'.repeat(20), 'deeper'.repeat(20), 'deepest'.repeat(30))
  mkdirSync(deep, { recursive: true })
  writeFileSync(join(deep, 'n'.repeat(255)), 'far')
  symlinkSync('t'.repeat(300), join(dir, 'long'))
  chmodSync(join(dir, 'b/file'), 0o6711)
  setXattr(Buffer.from(join(dir, 'b/file')), 'user.key', Buffer.from('a=b\n\0'))
  for (const { path } of describeTree(dir)) {
    lutimesSync(Buffer.from(join(dir, path), 'latin1'), 1_600_000_000, 1_600_000_000)
  }
  setTimes(Buffer.from(join(dir, 'B')), -1, 500_000_000)
}

const HEAD: EntryHead = {
  path: Buffer.from('f'),
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  linkPath: undefined,
  devMajor: 0,
  devMinor: 0,
  xattrs: new Map(),
}

describe('a tree written as a tar', () => {
  it('is the same tree again, unpacked by us and by GNU tar', async (t) => {
    const dir = scratch(t)
    const source = join(dir, 'source')
    mkdirSync(source)
    makeTree(source)
    const expected = describeTree(source)
    const tar = await pack(source)
    extractInto(join(dir, 'ours'), tar)
    gnuExtract(join(dir, 'theirs'), tar, '--xattrs', '--xattrs-include=*')
    assert.deepEqual(compareTrees(describeTree(join(dir, 'ours')), expected), [])
    assert.deepEqual(compareTrees(describeTree(join(dir, 'theirs')), expected), [])
    assert.ok((await pack(join(dir, 'ours'))).equals(tar))
    assert.ok((await pack(join(dir, 'theirs'))).equals(tar))
  })

  it('lists a directory before what it holds, names by their bytes, the root as ./', async (t) => {
    const dir = join(scratch(t), 'source')
    mkdirSync(dir)
    makeTree(dir)
    const names = collect(await pack(dir)).map(({ path }) => path)
    assert.deepEqual(
      names.filter((name) => !name.startsWith('deep')),
      ['./', 'B', 'a', 'b/', 'b/empty/', 'b/file', 'b.txt', 'long', 's', '\xff'],
    )
  })

  it('is cut into chunks that stay as they are', async (t) => {
    const dir = join(scratch(t), 'source')
    mkdirSync(dir)
    makeTree(dir)
    const chunks = await Array.fromAsync(writeTar(dir))
    assert.ok(chunks.length > 2)
    assert.ok(chunks.every(({ length }) => length <= 1024 * 1024))
    assert.ok(Buffer.concat(chunks).equals(await pack(dir)))
  })

  it('has no extended headers where ustar says it all', async (t) => {
    const dir = join(scratch(t), 'source')
    mkdirSync(join(dir, 'p'.repeat(100)), { recursive: true })
    writeFileSync(join(dir, 'p'.repeat(100), 'n'.repeat(99)), '')
    writeFileSync(join(dir, 'n'.repeat(100)), '')
    symlinkSync('t'.repeat(100), join(dir, 's'))
    for (const { path } of describeTree(dir)) lutimesSync(join(dir, path), 5, 5)
    const tar = await pack(dir)
    // The directory's name of 101 bytes can't be split.
    assert.equal(tar.toString('latin1').split('././@PaxHeader').length - 1, 1)
  })

  it('leaves out sockets', async (t) => {
    const dir = join(scratch(t), 'source')
    mkdirSync(dir)
    const server = createServer().listen(join(dir, 'socket'))
    await new Promise((resolve) => server.once('listening', resolve))
    const names = collect(await pack(dir)).map(({ path }) => path)
    server.close()
    assert.deepEqual(names, ['./'])
  })

  it('is refused when a name would read as a whiteout', async (t) => {
    const dir = scratch(t)
    writeFileSync(join(dir, '.wh.x'), '')
    await assert.rejects(pack(dir), (error) => isDrayError(error, 'LAYER_INVALID'))
  })

  it('is refused when it is no directory', async (t) => {
    const file = join(scratch(t), 'file')
    writeFileSync(file, '')
    await assert.rejects(pack(file), (error) => isDrayError(error, 'LAYER_INVALID'))
  })

  const changes: Readonly<Record<string, (path: string) => void>> = {
    grows: (path) => appendFileSync(path, 'x'),
    shrinks: (path) => truncateSync(path, 2_500_000),
  }
  for (const [how, change] of Object.entries(changes)) {
    it(`is refused when a file ${how} while it is read`, async (t) => {
      const dir = scratch(t)
      writeFileSync(join(dir, 'f'), Buffer.alloc(3_000_000))
      await assert.rejects(
        async () => {
          let chunks = 0
          for await (const _ of writeTar(dir)) if (chunks++ === 0) change(join(dir, 'f'))
        },
        (error) => isDrayError(error, 'LAYER_INVALID'),
      )
    })
  }

  it('stops when it is aborted', async (t) => {
    const dir = scratch(t)
    writeFileSync(join(dir, 'f'), Buffer.alloc(3_000_000))
    const controller = new AbortController()
    await assert.rejects(async () => {
      for await (const _ of writeTar(dir, { signal: controller.signal })) {
        controller.abort(new Error('enough'))
      }
    }, /enough/)
  })

  it('changes with nothing but the tree', async (t) => {
    const dir = scratch(t)
    const packed = []
    for (const name of ['one', 'two']) {
      mkdirSync(join(dir, name))
      const files = name === 'one' ? ['a', 'b', 'c'] : ['c', 'a', 'b']
      for (const file of files) writeFileSync(join(dir, name, file), file)
      rmSync(join(dir, name, 'b'))
      for (const path of ['a', 'c', '.']) utimesSync(join(dir, name, path), 7, 7)
      packed.push(await pack(join(dir, name)))
    }
    assert.deepEqual(packed[0], packed[1])
  })
})

describe('an encoded header', () => {
  const heads: Readonly<Record<string, Partial<EntryHead>>> = {
    'a size over 8 GiB': { size: 2 ** 33 },
    'the largest ids': { uid: 2 ** 32 - 2, gid: 2 ** 21 },
    'a time before 1970': { mtime: { seconds: -3, nanoseconds: 0 } },
    'a fraction before 1970': { mtime: { seconds: -3, nanoseconds: 1 } },
    'the last nanosecond before 1970': { mtime: { seconds: -1, nanoseconds: 999_999_999 } },
    'a fraction of a second': { mtime: { seconds: 3, nanoseconds: 120_000_000 } },
    'a time beyond 2242': { mtime: { seconds: 2 ** 33, nanoseconds: 0 } },
    'a name of 300 bytes without slashes': { path: Buffer.alloc(300, 'n') },
    'a link of 300 bytes': { type: 'symlink', linkPath: Buffer.alloc(300, 'l') },
    'xattrs of any length': {
      xattrs: new Map(
        [...Array(120).keys()].map((length) => [`user.${length}`, Buffer.alloc(length, '=')]),
      ),
    },
  }
  for (const [what, head] of Object.entries(heads)) {
    it(`keeps ${what}`, () => {
      const entry = { ...HEAD, ...head }
      const seen: EntryHead[] = []
      const reader = createTarReader({
        entry: ({ sparse: _, dataOffset: __, storedSize: ___, ...rest }) => seen.push(rest),
        data: () => {},
        endEntry: () => {},
      })
      reader.push(encodeHeader(entry))
      assert.deepEqual(seen, [entry])
    })
  }
})
