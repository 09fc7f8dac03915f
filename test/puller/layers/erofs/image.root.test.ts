import assert from 'node:assert/strict'
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { describeTree, type TreeNode } from '../../../support/tree.ts'
import {
  archive,
  base256,
  directory,
  file,
  hardlink,
  header,
  long,
  member,
  pax,
  symlink,
} from '../../tar/archive.ts'
import { scratch } from '../extraction.ts'
import { sparseFile } from '../random-layer.ts'
import { checkImage, indexTar, whyNoFsck, withMounted } from './image.ts'

function mounted<T>(t: TestContext, parts: readonly Buffer[], work: (dir: string) => T): T {
  return withMounted(indexTar(join(scratch(t), 'layer'), archive(...parts)).layer, work)
}

function nodesOf(t: TestContext, ...parts: readonly Buffer[]): Record<string, TreeNode> {
  return mounted(t, parts, (dir) =>
    Object.fromEntries(describeTree(dir).map((node) => [node.path, node])),
  )
}

describe('an EROFS image over a tar', () => {
  it('has owners, modes, times and sizes that only the extended form of an inode holds', (t) => {
    const seen = nodesOf(
      t,
      directory('./'),
      pax(['uid', '4294967294'], ['gid', '65536'], ['mtime', '1.123456789']),
      member({ name: 'big', mode: 0o6755 }, 'x'),
      pax(['mtime', '-5.5']),
      file('old'),
      member({ name: 'far', mtime: base256(2n ** 40n) }),
      member({ name: 'plain', uid: 65_535, gid: 65_535 }, 'y'),
    )
    const shown = Object.values(seen).map(
      ({ path, mode, uid, gid, mtimeNs }) => `${path} ${mode} ${uid}:${gid} ${mtimeNs}`,
    )
    assert.deepEqual(shown, [
      '. 755 0:0 1000000000000000000',
      'big 6755 4294967294:65536 1123456789',
      `far 644 0:0 ${2n ** 40n * 1_000_000_000n}`,
      'old 644 0:0 -5500000000',
      'plain 644 65535:65535 1000000000000000000',
    ])
  })

  it('has names of 255 bytes, and none that are no UTF-8 changed', (t) => {
    const names = ['n'.repeat(255), `${'\xff'.repeat(254)}x`, '\x01', '!', '~', '..a']
    const parts = names.map((name) =>
      Buffer.concat([pax(['path', Buffer.from(name, 'latin1')]), file('x', name)]),
    )
    mounted(t, parts, (dir) => {
      const seen = readdirSync(dir, { encoding: 'latin1' })
      assert.deepEqual(seen.toSorted(), names.toSorted())
      for (const name of names) {
        const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, 'latin1')])
        assert.equal(readFileSync(path, 'utf8'), name)
      }
    })
  })

  it('has directories of many blocks, every name of which can be looked up', (t) => {
    const names = Array.from({ length: 3000 }, (_, at) => `${at}${'x'.repeat(at % 40)}`)
    const parts = names.map((name) => file(`d/${name}`, name))
    mounted(t, parts, (dir) => {
      assert.ok(statSync(join(dir, 'd')).size > 64 * 1024)
      assert.deepEqual(readdirSync(join(dir, 'd')).toSorted(), names.toSorted())
      for (const name of names) assert.equal(readFileSync(join(dir, 'd', name), 'utf8'), name)
      assert.equal(lstatSync(join(dir, 'd', 'absent'), { throwIfNoEntry: false }), undefined)
    })
  })

  it('has a sparse file of 10 GB whose holes take no room', (t) => {
    const steps = [
      [5_000_000_000, 4096],
      [4_999_995_904, 100],
    ] as const
    const { layer } = indexTar(join(scratch(t), 'layer'), archive(sparseFile('f', steps)))
    assert.ok(statSync(layer.image).blocks * 512 < 64 * 1024)
    withMounted(layer, (dir) => {
      const path = join(dir, 'f')
      assert.equal(statSync(path).size, 10_000_000_100)
      const fd = openSync(path, 'r')
      const read = (at: number) => {
        const bytes = Buffer.alloc(3)
        return [...bytes.subarray(0, readSync(fd, bytes, 0, 3, at))]
      }
      const pattern = (at: number) => 1 + ((at * 7) % 251)
      assert.deepEqual(read(0), [0, 0, 0])
      assert.deepEqual(read(4_999_999_999), [0, pattern(0), pattern(1)])
      assert.deepEqual(read(5_000_004_094), [pattern(4094), pattern(4095), 0])
      assert.deepEqual(read(9_999_999_999), [0, pattern(4096), pattern(4097)])
      assert.deepEqual(read(10_000_000_099), [pattern(4195)])
      closeSync(fd)
    })
  })

  it('has hard links beyond 65,535 and symlinks up to the longest', (t) => {
    const links = Array.from({ length: 65_600 }, (_, at) => hardlink(`d/${at}`, 'f'))
    const targets = [1, 447, 448, 449, 511, 512, 513, 1024, 4095].map((length) =>
      't'.repeat(length),
    )
    const symlinks = targets.map((target) =>
      Buffer.concat([long('K', target), symlink(`s${target.length}`, 'x')]),
    )
    mounted(t, [file('f', 'x'), ...links, ...symlinks], (dir) => {
      assert.equal(statSync(join(dir, 'f')).nlink, 65_601)
      assert.equal(statSync(join(dir, 'd/65599')).ino, statSync(join(dir, 'f')).ino)
      for (const target of targets)
        assert.equal(readlinkSync(join(dir, `s${target.length}`)), target)
    })
  })

  it('has devices up to the largest numbers, fifos and empty files', (t) => {
    const seen = nodesOf(
      t,
      header({ name: 'disk', type: '4', major: 4095, minor: 0xfffff, mode: 0o660 }),
      header({ name: 'null', type: '3', major: 1, minor: 3 }),
      header({ name: 'pipe', type: '6' }),
      file('empty'),
    )
    assert.deepEqual([seen.disk?.type, seen.disk?.rdev], ['block', 0xffffffffn])
    assert.deepEqual([seen.null?.type, seen.null?.rdev], ['character', 0x103n])
    assert.deepEqual([seen.pipe?.type, seen.empty?.size], ['fifo', 0])
  })

  it('is the same, byte for byte, for the same tar', (t) => {
    const tar = archive(
      pax(['SCHILY.xattr.user.b', '1'], ['SCHILY.xattr.user.a', '2']),
      file('a/b', 'x'),
      sparseFile('s', [[100, 5000]]),
      file('a/.wh.c'),
    )
    const [one, two] = ['one', 'two'].map((name) => indexTar(join(scratch(t), name), tar))
    assert.ok(one && two && readFileSync(one.layer.image).equals(readFileSync(two.layer.image)))
  })

  it('is mounted from loop devices too, which go with it', (t) => {
    const { layer } = indexTar(join(scratch(t), 'layer'), archive(file('f', 'content')))
    const seen = withMounted(layer, (dir) => readFileSync(join(dir, 'f'), 'utf8'), 'loop')
    assert.equal(seen, 'content')
    const left = readdirSync('/sys/block')
      .filter((name) => name.startsWith('loop'))
      .map((name) => join('/sys/block', name, 'loop/backing_file'))
      .filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined)
      .map((path) => readFileSync(path, 'utf8').trim())
    assert.deepEqual(
      left.filter((path) => path === layer.image || path === layer.tar),
      [],
    )
  })

  it('is in order for fsck.erofs', { skip: whyNoFsck() }, (t) => {
    const { layer } = indexTar(
      join(scratch(t), 'layer'),
      archive(
        directory('d/'),
        ...Array.from({ length: 200 }, (_, at) =>
          file(`d/${'n'.repeat(at % 90)}${at}`, 'y'.repeat(at * 9)),
        ),
        hardlink('h', 'd/0'),
        pax(['SCHILY.xattr.user.n', 'v'.repeat(700)]),
        symlink('s', 't'.repeat(90)),
        sparseFile('sparse', [[100, 5000]], 7),
        file('.wh.gone'),
        header({ name: 'null', type: '3', major: 1, minor: 3 }),
      ),
    )
    checkImage(layer)
  })
})
