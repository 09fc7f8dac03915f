import assert from 'node:assert/strict'
import {
  chmodSync,
  ftruncateSync,
  closeSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimes } from '#puller/sys.ts'
import { compareTrees, describeTree } from '../../support/tree.ts'
import { extractInto, scratch } from './extraction.ts'
import { gnuCreate, gnuExtract } from './gnu-tar.ts'

/** A tree of everything that an unprivileged process can make and the format can hold. */
function makeTree(dir: string, format: string): void {
  mkdirSync(dir)
  const at = (name: string) => Buffer.from(join(dir, name), 'latin1')
  mkdirSync(at('d'))
  writeFileSync(at('d/file'), 'content')
  writeFileSync(at('d/empty'), '')
  writeFileSync(at('large'), Buffer.alloc(3_000_001, 'abc'))
  linkSync(at('d/file'), at('linked'))
  symlinkSync('d/file', at('symlink'))
  symlinkSync('/nowhere', at('dangling'))
  writeFileSync(at('a\nb\\"c'), '')
  writeFileSync(at('\xff\xfe'), 'not UTF-8')
  const name = 'n'.repeat(format === 'v7' ? 90 : 99)
  writeFileSync(at(name), 'name of a header’s length')
  if (format === 'gnu' || format === 'posix') {
    mkdirSync(at('l'.repeat(200)))
    writeFileSync(at(`${'l'.repeat(200)}/${'m'.repeat(255)}`), 'long')
    symlinkSync('t'.repeat(500), at('long-target'))
    linkSync(at(`${'l'.repeat(200)}/${'m'.repeat(255)}`), at('to-long'))
  }
  chmodSync(at('d/file'), 0o4755)
  chmodSync(at('d/empty'), 0o400)
  chmodSync(at('large'), 0o2711)
  utimesSync(at('large'), 1, 1)
  lutimesSync(at('symlink'), 123, 123)
  setTimes(at('d/file'), 1_234_567_890, format === 'posix' ? 123_456_789 : 0)
  for (const entry of describeTree(dir).filter(({ mtimeNs }) => mtimeNs % 1_000_000_000n !== 0n)) {
    if (format === 'posix' || entry.path === '.') continue
    lutimesSync(at(entry.path), 1_700_000_000, 1_700_000_000)
  }
  chmodSync(at('d'), 0o1777)
  utimesSync(at('d'), 77, 77)
  utimesSync(dir, 99, 99)
}

describe('a tree archived by GNU tar', () => {
  for (const format of ['gnu', 'oldgnu', 'posix', 'ustar', 'v7']) {
    it(`is unpacked from format ${format} as GNU tar does it`, (t) => {
      const dir = scratch(t)
      makeTree(join(dir, 'source'), format)
      const tar = gnuCreate(join(dir, 'source'), `--format=${format}`)
      extractInto(join(dir, 'ours'), tar)
      gnuExtract(join(dir, 'theirs'), tar)
      const ours = describeTree(join(dir, 'ours'))
      assert.deepEqual(compareTrees(ours, describeTree(join(dir, 'theirs'))), [])
      assert.deepEqual(compareTrees(ours, describeTree(join(dir, 'source'))), [])
    })
  }

  const sparseFormats = [
    ['--format=gnu'],
    ['--format=posix', '--sparse-version=0.0'],
    ['--format=posix', '--sparse-version=0.1'],
    ['--format=posix', '--sparse-version=1.0'],
  ]
  for (const options of sparseFormats) {
    it(`is unpacked with its sparse files from ${options.join(' ')}`, (t) => {
      const dir = scratch(t)
      const source = join(dir, 'source')
      mkdirSync(source)
      const sizes = { few: 3, many: 200, ['long'.repeat(50)]: 6 }
      for (const [name, runs] of Object.entries(sizes)) {
        const fd = openSync(join(source, name), 'w')
        for (let run = 0; run < runs; run++) writeSync(fd, `run ${run}`, run * 200_000)
        ftruncateSync(fd, runs * 200_000)
        closeSync(fd)
      }
      closeSync(openSync(join(source, 'plain'), 'w'))
      const tar = gnuCreate(source, '--sparse', ...options)
      assert.ok(tar.length < 4_000_000)
      extractInto(join(dir, 'ours'), tar)
      gnuExtract(join(dir, 'theirs'), tar)
      const [ours, theirs] = [join(dir, 'ours'), join(dir, 'theirs')].map(describeTree)
      assert.deepEqual(compareTrees(ours ?? [], theirs ?? []), [])
      assert.equal(ours?.length, 5)
    })
  }
})
