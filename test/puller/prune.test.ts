import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import {
  measureStore,
  openStore,
  prepareRootfs,
  pruneImages,
  removeFreeIngests,
  removeGarbage,
} from '#puller/index.ts'
import { Ingest } from '#puller/store/ingest.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const [BASE, TOP] = [tarOf({ base: 'b' }), tarOf({ top: 't' })]
const USED = smallImage([BASE, TOP])
const UNUSED = smallImage([BASE])
const LOST = smallImage([TOP])
const sizeOf = ({ blobs }: typeof USED) =>
  [...blobs.values()].reduce((sum, { length }) => sum + length, 0)

async function setUp(t: TestContext) {
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  await placeImage(store, 'docker.io/library/used:1', USED)
  await placeImage(store, 'docker.io/library/unused:1', UNUSED)
  await placeImage(store, undefined, LOST)
  const { lowerDirs } = await prepareRootfs(store, parseReference('used:1'), {
    platform: parsePlatform('linux/amd64'),
  })
  const users = async () => [{ container: 'web', manifestDigest: USED.manifest.digest }]
  const names = async () => (await store.images()).map(({ name }) => name)
  return { store, users, names, dirsInUse: async () => lowerDirs }
}

describe('pruneImages', () => {
  it('removes images that lost their names', async (t) => {
    const { store, users, names } = await setUp(t)
    assert.deepEqual(await pruneImages(store, { users }), [
      { untagged: [], deleted: LOST.manifest.digest },
    ])
    assert.deepEqual(await names(), ['docker.io/library/used:1', 'docker.io/library/unused:1'])
  })

  it('removes all that no container was made of, when asked to', async (t) => {
    const { store, users, names } = await setUp(t)
    await store.name({ name: 'docker.io/library/unused:2', descriptor: UNUSED.manifest })
    const removed = await pruneImages(store, { users, all: true })
    assert.deepEqual(
      removed.map(({ untagged }) => untagged.length),
      [2, 0],
    )
    assert.deepEqual(await names(), ['docker.io/library/used:1'])
  })
})

describe('measureStore', () => {
  it('counts what images share once, and tells what is free without those that nobody uses', async (t) => {
    const { store, users, dirsInUse } = await setUp(t)
    const before = await measureStore(store, { users, dirsInUse })
    const shared = (UNUSED.layers[0]?.size ?? 0) + (LOST.layers[0]?.size ?? 0)
    const own = sizeOf(UNUSED) + sizeOf(LOST) - shared
    assert.deepEqual(before.images, {
      total: 3,
      active: 1,
      size: sizeOf(USED) + own + BASE.length + TOP.length,
      reclaimable: own,
    })
    await pruneImages(store, { users, all: true })
    const { bytes } = await removeGarbage(store, dirsInUse)
    assert.equal(bytes, own)
    const after = await measureStore(store, { users, dirsInUse })
    assert.equal(after.images.size, before.images.size - own)
    assert.equal(after.images.reclaimable, 0)
  })

  it('tells what unfinished pulls take, which go unless they are under way', async (t) => {
    const { store, users, dirsInUse } = await setUp(t)
    const left = store.layout.ingest(LOST.config.digest)
    mkdirSync(left.dir, { recursive: true })
    writeFileSync(left.data, Buffer.alloc(8192, 1))
    const ingest = await Ingest.open(store.layout.ingest(USED.config.digest), USED.config)
    t.after(() => ingest.close())
    const { ingests } = await measureStore(store, { users, dirsInUse })
    assert.deepEqual([ingests.total, ingests.active], [2, 1])
    assert.ok(ingests.reclaimable >= 8192)
    await removeFreeIngests(store.layout)
    assert.equal((await measureStore(store, { users, dirsInUse })).ingests.total, 1)
  })
})
