import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { filterImages } from '#cli/image-filter.ts'
import { digestOf } from '#oci/digest.ts'

const DIGEST = digestOf('')
const IMAGES = [
  'docker.io/library/debian:12',
  'docker.io/library/debian:13',
  'localhost:5000/team/app:1',
  `registry.example/app@${DIGEST}`,
  undefined,
].map((name) => ({ name, digest: DIGEST, platforms: [], size: 0, isAttached: false }))

const CASES: readonly (readonly [filters: readonly string[], found: readonly number[]])[] = [
  [[], [0, 1, 2, 3, 4]],
  [['dangling=true'], [4]],
  [['dangling=false'], [0, 1, 2, 3]],
  [['reference=debian'], [0, 1]],
  [['reference=debian:13'], [1]],
  [['reference=docker.io/library/debian'], [0, 1]],
  [['reference=debian:*'], [0, 1]],
  [['reference=localhost:5000/team/app'], [2]],
  [['reference=localhost:5000/*/*'], [2]],
  [['reference=registry.example/app'], [3]],
  [
    ['reference=debian:12', 'reference=*/app'],
    [0, 3],
  ],
  [['reference=debian', 'dangling=true'], []],
]

describe('filterImages', () => {
  for (const [filters, found] of CASES) {
    it(`finds ${found.length} by ${filters.join(' ') || 'nothing'}`, () => {
      assert.deepEqual(
        filterImages(IMAGES, filters),
        found.map((at) => IMAGES[at]),
      )
    })
  }

  for (const filter of ['name=x', 'dangling', 'dangling=maybe', '=', '']) {
    it(`refuses ${JSON.stringify(filter)}`, () => {
      assert.throws(() => filterImages(IMAGES, [filter]), { code: 'USAGE' })
    })
  }
})
