import assert from 'node:assert/strict'
import { globSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { chainId } from '#oci/chain-id.ts'
import { type Digest, digestOf } from '#oci/digest.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, prepareRootfs, pullImage, removeGarbage, removeImage } from '#puller/index.ts'
import { serveImage } from '../../support/blob-server.ts'
import { digestsOf, placeImage } from '../../support/placed-image.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'

const PLATFORM = parsePlatform('linux/amd64')
const [SHARED, ONE, TWO] = [tarOf({ base: 'b' }), tarOf({ one: '1' }), tarOf({ two: '2' })]
const FIRST = smallImage([SHARED, ONE])
const SECOND = smallImage([SHARED, TWO])
const NAME = 'localhost/team/first:1'
const nobody = async () => []

async function setUp(t: TestContext) {
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  const names = (pattern: string) =>
    globSync(pattern, { cwd: store.layout.root })
      .map((path) => path.split('/').slice(-2).join(':'))
      .sort()
  return {
    store,
    blobs: () => names('content/blobs/*/*'),
    layers: () => names('layers/*/*'),
    fixups: () => names('fixups/*/*'),
    place: (name: string, image: typeof FIRST) =>
      placeImage(store, `localhost/team/${name}`, image),
    unpack: (name: string) =>
      prepareRootfs(store, parseReference(`localhost/team/${name}`), { platform: PLATFORM }),
    remove: (name: string) => removeImage(store, `localhost/team/${name}`, { users: nobody }),
  }
}

function sorted(digests: Iterable<Digest>): Digest[] {
  return [...digests].sort()
}

describe('removeGarbage', () => {
  it('removes what the last image lost, and keeps what another one shares', async (t) => {
    const { store, blobs, layers, fixups, place, unpack, remove } = await setUp(t)
    await place('first:1', FIRST)
    await place('second:1', SECOND)
    await unpack('first:1')
    await unpack('second:1')
    await remove('first:1')
    const { items, bytes } = await removeGarbage(store, nobody)
    assert.deepEqual(blobs(), sorted(digestsOf(SECOND)))
    assert.deepEqual(layers(), sorted([digestOf(SHARED), digestOf(TWO)]))
    assert.deepEqual(fixups(), [chainId([digestOf(SHARED), digestOf(TWO)])])
    assert.equal(items.length, 3 + 1 + 1)
    const own = [FIRST.manifest, FIRST.config, FIRST.layers[1]].map((blob) => blob?.size ?? 0)
    assert.equal(bytes, own.reduce((sum, size) => sum + size, 0) + ONE.length)
    assert.deepEqual(readdirSync(store.layout.staging), [])
    assert.deepEqual((await removeGarbage(store, nobody)).items, [])
  })

  it('keeps the layers that a container stacks, though their image is gone', async (t) => {
    const { store, blobs, layers, fixups, place, unpack, remove } = await setUp(t)
    await place('first:1', FIRST)
    const { lowerDirs } = await unpack('first:1')
    const fixup = join(
      store.layout.fixup(chainId([digestOf(SHARED), digestOf(ONE)]) ?? SHA),
      'tree',
    )
    await remove('first:1')
    await removeGarbage(store, async () => [...lowerDirs, fixup, '/elsewhere'])
    assert.deepEqual(blobs(), [])
    assert.deepEqual(layers(), sorted([digestOf(SHARED), digestOf(ONE)]))
    assert.equal(fixups().length, 1)
    const mounts = [SHARED, ONE].map((tar) => store.layout.mount(digestOf(tar)))
    await removeGarbage(store, async () => mounts)
    assert.equal(layers().length, 2)
    await removeGarbage(store, nobody)
    assert.deepEqual([layers(), fixups()], [[], []])
  })

  it('keeps what a lease names as long as it is open, and forgets those of the dead', async (t) => {
    const { store, blobs, place, remove } = await setUp(t)
    await place('first:1', FIRST)
    const lease = await store.lease()
    await lease.keep({ blobs: digestsOf(FIRST) })
    await remove('first:1')
    mkdirSync(store.layout.leases, { recursive: true })
    writeFileSync(join(store.layout.leases, 'dead'), `blobs ${FIRST.manifest.digest}\n`)
    await removeGarbage(store, nobody)
    assert.equal(blobs().length, FIRST.blobs.size)
    assert.equal(readdirSync(store.layout.leases).length, 1)
    lease.close()
    await removeGarbage(store, nobody)
    assert.deepEqual(blobs(), [])
  })

  it('removes what a crash left half-written of a blob', async (t) => {
    const { store, blobs, place } = await setUp(t)
    await place('first:1', FIRST)
    writeFileSync(`${store.pathOf(FIRST.manifest)}.half`, '')
    writeFileSync(`${store.pathOf(SECOND.manifest)}.half`, '')
    await removeGarbage(store, nobody)
    assert.deepEqual(blobs(), sorted([...digestsOf(FIRST), half(FIRST.manifest.digest)]))
  })

  it('removes nothing when an image does not tell what it needs, or containers are not known', async (t) => {
    const { store, blobs, place } = await setUp(t)
    await place('first:1', FIRST)
    await place('second:1', SECOND)
    const before = blobs()
    writeFileSync(store.pathOf(FIRST.manifest), '{}')
    await assert.rejects(removeGarbage(store, nobody), { code: 'CONTENT_MISMATCH' })
    const unknown = async () => {
      throw new Error('which containers?')
    }
    await assert.rejects(removeGarbage(store, unknown))
    assert.deepEqual(blobs(), before)
  })

  it('removes a layer whose record is damaged', async (t) => {
    const { store, layers, place, unpack, remove } = await setUp(t)
    await place('first:1', FIRST)
    await unpack('first:1')
    for (const tar of [SHARED, ONE]) writeFileSync(store.layout.layer(digestOf(tar)).record, '{')
    await assert.rejects(unpack('first:1'), {
      code: 'STORE_FAILED',
      message: /dray system check --repair/,
    })
    await remove('first:1')
    await removeGarbage(store, nobody)
    assert.deepEqual(layers(), [])
  })

  it('removes what others lost beside an image whose config makes no sense', async (t) => {
    const { store, blobs, place, remove } = await setUp(t)
    const odd = smallImage([SHARED], { config: { rootfs: undefined } })
    await place('odd:1', odd)
    await place('first:1', FIRST)
    await remove('first:1')
    await removeGarbage(store, nobody)
    assert.deepEqual(blobs(), sorted(digestsOf(odd)))
  })

  it('never takes away what a pull found there, whenever it comes', async (t) => {
    const { store, blobs, layers } = await setUp(t)
    const root = store.layout.root
    const server = await serveImage(t, SECOND)
    const reference = parseReference(`${server.host}/team/second:1`)
    for (let round = 0; round < 5; round++) {
      await placeImage(store, NAME, FIRST)
      await prepareRootfs(store, parseReference(NAME), { platform: PLATFORM })
      const removing = [removeImage(store, NAME, { users: nobody })]
      const collecting: Promise<unknown>[] = []
      const collect = () => collecting.push(removeGarbage(store, nobody))
      await pullImage(await openStore(root, { layerStore: 'dir' }), reference, {
        platform: PLATFORM,
        onProgress: collect,
      })
      await Promise.all([...removing, ...collecting])
      assert.ok(collecting.length > 3)
      await removeGarbage(store, nobody)
      assert.deepEqual(blobs(), sorted(digestsOf(SECOND)), `round ${round}`)
      assert.deepEqual(layers(), sorted([digestOf(SHARED), digestOf(TWO)]))
      await removeImage(store, `${server.host}/team/second:1`, { users: nobody })
    }
  })
})

const SHA = digestOf(Buffer.alloc(0))

function half(digest: Digest): Digest {
  return `${digest}.half` as Digest
}
