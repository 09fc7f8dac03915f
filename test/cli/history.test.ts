import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { openStore } from '#puller/index.ts'
import { drayHere } from '../support/dray-here.ts'
import { placeImage } from '../support/placed-image.ts'
import { type SmallImage, smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const LONG = `/bin/sh -c make\t${'all '.repeat(20)}`
const CREATED = '2020-01-31T12:00:00Z'
const TARS = [tarOf({ base: 'b' }), tarOf({ app: 'a'.repeat(5000) })]
const IMAGE = smallImage(TARS, {
  config: {
    history: [
      { created: CREATED, created_by: 'ADD base /', comment: 'buildkit' },
      { created: CREATED, created_by: 'ENV A=1\x1b[2J', empty_layer: true },
      { created_by: LONG },
    ],
  },
})
const [BASE, APP] = IMAGE.layers.map(({ size }) => `${size}B`)

async function setUp(t: TestContext, image: SmallImage) {
  const root = tempDir(t)
  await placeImage(await openStore(root, { layerStore: 'dir' }), 'localhost/app:1', image)
  return async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await drayHere(['history', '--root', root, ...args])
    assert.equal(code, 0, stderr)
    return stdout.trimEnd().split('\n')
  }
}

describe('dray history', () => {
  it('shows the steps of an image, the last first, with the sizes of their layers', async (t) => {
    const history = await setUp(t, IMAGE)
    const [headings, ...lines] = await history('localhost/app:1')
    assert.match(headings ?? '', /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/)
    const short = IMAGE.manifest.digest.slice('sha256:'.length, 19)
    const made = `${LONG.replace('\t', ' ').slice(0, 44)}…`
    const ago = /^\d+ years ago$/
    const cells = lines.map((line) =>
      line.split(/ {2,}/).map((cell) => (ago.test(cell) ? 'ago' : cell)),
    )
    assert.deepEqual(cells, [
      [short, 'N/A', made, APP],
      ['<missing>', 'ago', 'ENV A=1 [2J', '0B'],
      ['<missing>', 'ago', 'ADD base /', BASE, 'buildkit'],
    ])
  })

  it('prints digests, whole commands and JSON when asked', async (t) => {
    const history = await setUp(t, IMAGE)
    const { digest } = IMAGE.manifest
    assert.deepEqual(await history('-q', '--no-trunc', 'localhost/app:1'), [
      digest,
      '<missing>',
      '<missing>',
    ])
    const [last = '', , first = ''] = await history('--no-trunc', '--format', 'json', digest)
    assert.equal(JSON.parse(last).CreatedBy, LONG.replace('\t', ' '))
    const { CreatedSince, ...facts } = JSON.parse(first)
    assert.match(CreatedSince, / years ago$/)
    assert.deepEqual(facts, {
      ...{ ID: '<missing>', CreatedAt: CREATED, CreatedBy: 'ADD base /' },
      ...{ Size: BASE, Comment: 'buildkit' },
    })
  })

  for (const [what, steps, sizes] of [
    ['has no steps', undefined, [APP, BASE]],
    ['has fewer steps than layers', [{ created_by: 'one' }], [APP, BASE]],
    ['has more steps than layers', [{}, {}, {}], ['0B', APP, BASE]],
  ] as const) {
    it(`shows every layer of an image that ${what}`, async (t) => {
      const history = await setUp(t, smallImage(TARS, { config: { history: steps } }))
      assert.deepEqual(await history('--format', '{{.Size}}', 'localhost/app:1'), sizes)
    })
  }
})
