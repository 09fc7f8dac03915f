import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DrayError } from '#oci/error.ts'
import {
  archive,
  directory,
  file,
  GNU,
  header,
  long,
  member,
  padded,
  pax,
  symlink,
} from './archive.ts'
import { collect } from './collect.ts'

/** Something of everything that the reader has a state for. */
const SAMPLE = archive(
  directory('d/'),
  file('d/small', 'content'),
  file('d/empty'),
  file('d/block', 'b'.repeat(512)),
  pax(['path', 'p'.repeat(600)], ['mtime', '1.5'], ['SCHILY.xattr.user.a', 'b']),
  file('x', 'c'.repeat(1500)),
  long('K', 'k'.repeat(300)),
  long('L', 'l'.repeat(700)),
  symlink('s', 't'),
  header({
    type: 'S',
    magic: GNU,
    size: 2,
    patches: [
      [386, '00000000003\x0000000000002\0'],
      [482, Buffer.from([1])],
      [483, '00000000144\0'],
    ],
  }),
  Buffer.alloc(512),
  padded(Buffer.from('ab')),
  pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.realsize', '50']),
  member({ name: 'q' }, Buffer.concat([padded(Buffer.from('1\n7\n3\n')), Buffer.from('xyz')])),
  file('last', 'end'),
)

describe('the tar reader', () => {
  it('gives the same entries however its input is cut up', () => {
    const expected = collect(SAMPLE)
    assert.equal(expected.length, 9)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: SAMPLE.length })), (cuts) => {
        const points = [0, ...cuts.sort((a, b) => a - b), SAMPLE.length]
        const pieces = points.slice(1).map((end, index) => SAMPLE.subarray(points[index], end))
        assert.deepEqual(collect(...pieces), expected)
      }),
    )
    for (const size of [1, 2, 511, 512, 513]) {
      const pieces = []
      for (let at = 0; at < SAMPLE.length; at += size) pieces.push(SAMPLE.subarray(at, at + size))
      assert.deepEqual(collect(...pieces), expected)
    }
  })

  it('refuses an archive cut at any byte, but between entries', () => {
    const contentEnd = SAMPLE.length - 1024
    const boundaries = new Set<number>()
    for (let end = 0; end < contentEnd; end++) {
      let entries: ReturnType<typeof collect>
      try {
        entries = collect(SAMPLE.subarray(0, end))
      } catch (error) {
        assert.ok(error instanceof DrayError && error.code === 'TAR_INVALID', String(error))
        continue
      }
      boundaries.add(entries.length)
      assert.equal(end % 512, 0)
    }
    // Whole archives without end markers: one after each of the first eight entries, and the empty one.
    assert.deepEqual([...boundaries], [0, 1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('refuses damage with TAR_INVALID or reads on, and never fails otherwise', () => {
    const damage = fc.array(
      fc.tuple(fc.nat({ max: SAMPLE.length - 1 }), fc.nat({ max: 255 }), fc.boolean()),
      { minLength: 1, maxLength: 8 },
    )
    let refused = 0
    fc.assert(
      fc.property(damage, (changes) => {
        const tar = Buffer.from(SAMPLE)
        for (const [at, byte, mends] of changes) {
          tar[at] = byte
          if (mends) mendChecksum(tar, at)
        }
        try {
          collect(tar)
        } catch (error) {
          // The collector allocates files whole; nobody else does.
          if (error instanceof RangeError) return
          assert.ok(error instanceof DrayError && error.code === 'TAR_INVALID', String(error))
          refused++
        }
      }),
      { numRuns: 3000 },
    )
    assert.ok(refused > 100)
  })
})

/** Makes the checksum of the block around `at` right again, so that damage gets past it. */
function mendChecksum(tar: Buffer, at: number): void {
  const block = tar.subarray(at - (at % 512), at - (at % 512) + 512)
  block.fill(0x20, 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}
