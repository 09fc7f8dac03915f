import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { filterImages } from '#cli/image-filter.ts'
import { digestOf } from '#oci/digest.ts'

const DIGEST = digestOf('')
const IMAGES = [
  { name: 'docker.io/library/debian:12', created: '2024-01-01T00:00:00Z' },
  { name: 'docker.io/library/debian:13', created: '2025-01-01T00:00:00+01:00' },
  { name: 'localhost:5000/team/app:1', created: '2026-01-01T00:00:00Z', labels: { team: 'web' } },
  { name: `registry.example/app@${DIGEST}`, created: undefined, labels: { team: 'db', ci: '' } },
  { name: undefined, created: '2026-01-01T00:00:00.000Z' },
].map((image) => ({
  ...{ digest: DIGEST, platforms: [], size: 0, labels: {}, isAttached: false },
  ...image,
}))

const CREATED: Readonly<Record<string, string>> = {
  'debian:13': '2024-12-31T23:00:00Z',
  app: '2026-01-01T00:00:00Z',
  undated: '',
}
const findCreated = async (image: string) => CREATED[image] ?? ''

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
  [['label=team'], [2, 3]],
  [['label=team=web'], [2]],
  [['label=team', 'label=ci'], [3]],
  [['label=ci=x'], []],
  [['before=debian:13'], [0]],
  [['before=app'], [0, 1]],
  [['since=debian:13'], [2, 4]],
  [['since=app'], []],
  [
    ['before=app', 'before=debian:13'],
    [0, 1],
  ],
  [['since=debian:13', 'dangling=true'], [4]],
  [['until=2025-06-01T00:00:00Z'], [0, 1]],
  [['until=1000000000'], []],
  [['until=0s'], [0, 1, 2, 4]],
]

describe('filterImages', () => {
  for (const [filters, found] of CASES) {
    it(`finds ${found.length} by ${filters.join(' ') || 'nothing'}`, async () => {
      assert.deepEqual(
        await filterImages(IMAGES, filters, findCreated),
        found.map((at) => IMAGES[at]),
      )
    })
  }

  for (const filter of [
    'name=x',
    'dangling',
    'dangling=maybe',
    'until=soon',
    'before=undated',
    'since=undated',
    '=',
    '',
  ]) {
    it(`refuses ${JSON.stringify(filter)}`, async () => {
      await assert.rejects(filterImages(IMAGES, [filter], findCreated), { code: 'USAGE' })
    })
  }
})
