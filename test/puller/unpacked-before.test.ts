/** Pulls whose layers are unpacked already, and come as other blobs than before. */
import assert from 'node:assert/strict'
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestOf } from '#oci/digest.ts'
import type { ErrorCode } from '#oci/error.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { loadImages, openStore, prepareRootfs, pullImage } from '#puller/index.ts'
import { serveImage } from '../support/blob-server.ts'
import { smallImage, tarOf, withLayers, writeLayout } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { visible } from '../support/visible.ts'

const PLATFORM = parsePlatform('linux/amd64')
const LOWER = tarOf({ hello: 'lower', 'dir/one': '1' })
const UPPER = tarOf({ hello: 'upper', 'dir/two': '2' })
const IMAGE = smallImage([LOWER, UPPER])
const [LOWER_BLOB, UPPER_BLOB] = IMAGE.layers.map(({ digest }) => IMAGE.blobs.get(digest)) as [
  Buffer,
  Buffer,
]
const OTHER = gzipSync(tarOf({ hello: 'other' }))
const NAMED_WRONGLY: readonly (readonly [string, readonly Buffer[], ErrorCode])[] = [
  ['a blob that is no such layer', [LOWER_BLOB, OTHER], 'DIFF_ID_MISMATCH'],
  ['blobs in another order', [UPPER_BLOB, LOWER_BLOB], 'DIFF_ID_MISMATCH'],
  ['one blob as two layers', [UPPER_BLOB, UPPER_BLOB], 'DIFF_ID_MISMATCH'],
  ['a blob that is cut off', [LOWER_BLOB, OTHER.subarray(0, 40)], 'COMPRESSION_INVALID'],
]

async function setUp(t: TestContext) {
  const server = await serveImage(t, IMAGE)
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  const reference = parseReference(`${server.host}/team/app:1`)
  return { store, pull: () => pullImage(store, reference, { platform: PLATFORM }) }
}

describe('a pull of layers that are unpacked', () => {
  for (const [what, layers, code] of NAMED_WRONGLY) {
    it(`refuses ${what} also where the layers are unpacked already`, async (t) => {
      const { store, pull } = await setUp(t)
      await pull()
      const before = visible(store)
      const wrong = withLayers(IMAGE, layers)
      const server = await serveImage(t, wrong)
      const pulling = pullImage(store, parseReference(`${server.host}/app:1`), {
        platform: PLATFORM,
      })
      await assert.rejects(pulling, { code, message: /layer sha256:/ })
      const dir = join(tempDir(t), 'layout')
      mkdirSync(dir)
      writeLayout(dir, wrong)
      await assert.rejects(loadImages(store, dir, { platform: PLATFORM }), { code })
      assert.deepEqual(visible(store), before)
      assert.equal((await store.images()).length, 1)
      assert.deepEqual(globSync('{staging,ingest}/*', { cwd: store.layout.root }), [])
    })
  }

  it('takes another compression of a layer that is unpacked, and inflates it once', async (t) => {
    const { store, pull } = await setUp(t)
    await pull()
    const other = withLayers(IMAGE, [zstdCompressSync(LOWER), gzipSync(UPPER, { level: 0 })])
    const server = await serveImage(t, other)
    const reference = parseReference(`${server.host}/app:1`)
    const pullOther = () => pullImage(store, reference, { platform: PLATFORM })
    await pullOther()
    const blobs = [LOWER, UPPER].map((tar) => store.layout.layer(digestOf(tar)).blobs)
    const known = blobs.map((path) => readFileSync(path, 'utf8'))
    assert.deepEqual(
      known,
      [0, 1].map((at) => `${IMAGE.layers[at]?.digest}\n${other.layers[at]?.digest}\n`),
    )
    await pullOther()
    await pull()
    assert.deepEqual(
      blobs.map((path) => readFileSync(path, 'utf8')),
      known,
    )
    for (const path of blobs) rmSync(path)
    await pullOther()
    assert.ok(readFileSync(blobs[0] ?? '', 'utf8').includes(other.layers[0]?.digest ?? '-'))
  })

  it('inflates what was pulled without being unpacked before it runs, once, and refuses what is no such layer', async (t) => {
    const { store, pull } = await setUp(t)
    await pull()
    const other = [zstdCompressSync(LOWER), gzipSync(UPPER, { level: 0 })]
    const prepare = async (layers: readonly Buffer[]) => {
      const image = withLayers(IMAGE, layers)
      const server = await serveImage(t, image)
      const reference = parseReference(`${server.host}/app:1`)
      await pullImage(store, reference, { platform: PLATFORM, unpack: false })
      await prepareRootfs(store, reference)
      return image.layers.map(({ digest }) => digest)
    }
    const digests = await prepare(other)
    const known = () => readFileSync(store.layout.layer(digestOf(LOWER)).blobs, 'utf8')
    assert.equal(known(), `${IMAGE.layers[0]?.digest}\n${digests[0]}\n`)
    await prepare(other)
    assert.equal(known().split('\n').length, 3)
    for (const [what, layers, code] of NAMED_WRONGLY)
      await assert.rejects(prepare(layers), { code, message: /layer sha256:/ }, what)
    await prepare(other)
  })
})
