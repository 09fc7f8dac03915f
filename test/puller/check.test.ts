import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { chainId } from '#oci/chain-id.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { checkStore, openStore, pullImage, removeGarbage, type Store } from '#puller/index.ts'
import { serveImage } from '../support/blob-server.ts'
import { smallImage, tarOf, withLayers } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const platform = parsePlatform('linux/amd64')
const [BASE, TOP] = [tarOf({ 'dir/base': 'b' }), tarOf({ 'dir/top': 't', other: 'o' })]
const IMAGE = smallImage([BASE, TOP])
const [LAYER] = IMAGE.layers as [Descriptor]
const { manifest: MANIFEST, config: CONFIG } = IMAGE

async function pulled(t: TestContext) {
  const server = await serveImage(t, IMAGE)
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  await pullImage(store, parseReference(`${server.host}/app:1`), { platform })
  const tree = store.layout.layer(digestOf(TOP)).tree
  return { server, store, tree, name: `${server.host}/app:1` }
}

const flipped = (store: Store, blob: Descriptor) =>
  writeFileSync(store.pathOf(blob), Buffer.alloc(blob.size, 1))

/** In its place there is what gives EIO when it is read, as a broken disk does. */
function breakFile(path: string): void {
  rmSync(path)
  symlinkSync('/proc/self/mem', path)
}

const turnedIntoDirectory = (store: Store, blob: Descriptor) => {
  rmSync(store.pathOf(blob))
  mkdirSync(join(store.pathOf(blob), 'dir'), { recursive: true })
}

const SPOILED: readonly (readonly [
  what: string,
  blob: Descriptor,
  spoil: (store: Store, blob: Descriptor) => void,
])[] = [
  ['a layer with other bytes', LAYER, flipped],
  ['a layer that was cut', LAYER, (store, blob) => truncateSync(store.pathOf(blob), 3)],
  ['a layer that is missing', LAYER, (store, blob) => rmSync(store.pathOf(blob))],
  ['a directory in the place of a layer', LAYER, turnedIntoDirectory],
  ['a config with other bytes', CONFIG, flipped],
  ['a directory in the place of a config', CONFIG, turnedIntoDirectory],
  ['a config that gives EIO', CONFIG, (store, blob) => breakFile(store.pathOf(blob))],
  ['a config that is missing', CONFIG, (store, blob) => rmSync(store.pathOf(blob))],
  ['a manifest with other bytes', MANIFEST, flipped],
  ['a directory in the place of a manifest', MANIFEST, turnedIntoDirectory],
  ['a manifest that gives EIO', MANIFEST, (store, blob) => breakFile(store.pathOf(blob))],
  ['a manifest that is missing', MANIFEST, (store, blob) => rmSync(store.pathOf(blob))],
]

const CHANGES: readonly (readonly [what: string, change: (tree: string) => void])[] = [
  ['a file with other bytes', (tree) => writeFileSync(join(tree, 'other'), 'x')],
  ['a file that is missing', (tree) => rmSync(join(tree, 'other'))],
  ['a file too many', (tree) => writeFileSync(join(tree, 'dir/more'), '')],
  ['another mode', (tree) => chmodSync(join(tree, 'other'), 0o600)],
  [
    'another type',
    (tree) => {
      rmSync(join(tree, 'other'))
      symlinkSync('dir', join(tree, 'other'))
    },
  ],
  ['no tree at all', (tree) => rmSync(tree, { recursive: true })],
  ['a broken record', (tree) => writeFileSync(join(tree, '../layer.json'), '{')],
  ['a record that gives EIO', (tree) => breakFile(join(tree, '../layer.json'))],
  [
    'a directory in the place of a record',
    (tree) => {
      rmSync(join(tree, '../layer.json'))
      mkdirSync(join(tree, '../layer.json'))
    },
  ],
]

const FIXUP_CHANGES: readonly (readonly [what: string, change: (tree: string) => void])[] = [
  ['another mode', (tree) => chmodSync(join(tree, 'dir'), 0o700)],
  ['a file too many', (tree) => writeFileSync(join(tree, 'dir/more'), '')],
  ['no tree at all', (tree) => rmSync(tree, { recursive: true })],
  [
    'another type',
    (tree) => {
      rmSync(tree, { recursive: true })
      writeFileSync(tree, '')
    },
  ],
]

describe('checkStore', () => {
  it('finds nothing in a store that is whole, and changes nothing unless asked to', async (t) => {
    const { store, name } = await pulled(t)
    assert.deepEqual(await checkStore(store), [])
    flipped(store, LAYER)
    for (const _ of ['once', 'twice']) {
      const [found, ...others] = await checkStore(store)
      assert.deepEqual(
        [found?.kind, found?.digest, found?.image, found?.isRepaired, others],
        ['blob', LAYER.digest, name, false, []],
      )
    }
  })

  it('fetches blobs again that are damaged or missing, and no others', async (t) => {
    const { server, store } = await pulled(t)
    for (const [what, blob, spoil] of SPOILED) {
      spoil(store, blob)
      const before = server.requests.length
      const found = await checkStore(store, { repair: true, platform })
      assert.deepEqual(
        found.map(({ digest, isRepaired }) => [digest, isRepaired]),
        [[blob.digest, true]],
        what,
      )
      const blobs = server.requests.slice(before).filter(({ url }) => url.includes('/blobs/'))
      assert.deepEqual(
        blobs.map(({ url }) => url.split('/').at(-1)),
        blob === MANIFEST ? [] : [blob.digest],
        what,
      )
    }
    assert.deepEqual(await checkStore(store), [])
    assert.equal((await store.images()).length, 1)
    assert.deepEqual((await removeGarbage(store, async () => [])).items, [])
  })

  it('unpacks layers again that were changed, without fetching them', async (t) => {
    const { server, store, tree } = await pulled(t)
    const before = server.requests.length
    for (const [what, change] of CHANGES) {
      change(tree)
      const found = await checkStore(store, { repair: true })
      assert.deepEqual(
        found.map(({ kind, digest, isRepaired }) => [kind, digest, isRepaired]),
        [['layer', digestOf(TOP), true]],
        what,
      )
    }
    assert.deepEqual(await checkStore(store), [])
    assert.equal(server.requests.length, before)
  })

  it('makes fix-ups again that were changed, but not from layers that are wrong', async (t) => {
    const layers = [tarOf({ 'dir/': '', 'dir/base': 'b' }), tarOf({ 'dir/top': 't' })]
    const server = await serveImage(t, smallImage(layers))
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    await pullImage(store, parseReference(`${server.host}/app:1`), { platform })
    const diffIds = layers.map((layer) => digestOf(layer))
    const chain = chainId(diffIds) ?? assert.fail()
    const tree = join(store.layout.fixup(chain), 'tree')
    const modeOf = () => statSync(join(tree, 'dir')).mode & 0o7777
    assert.deepEqual([modeOf(), await checkStore(store)], [0o750, []])
    for (const [what, change] of FIXUP_CHANGES) {
      change(tree)
      const found = await checkStore(store, { repair: true })
      assert.deepEqual(
        [...found.map(({ kind, digest, isRepaired }) => [kind, digest, isRepaired]), modeOf()],
        [['fixup', chain, true], 0o750],
        what,
      )
    }
    const base = store.layout.layer(digestOf(layers[0] ?? assert.fail())).tree
    chmodSync(join(base, 'dir'), 0o700)
    assert.deepEqual(
      (await checkStore(store)).map(({ kind }) => kind),
      ['layer'],
    )
    assert.equal((await checkStore(store, { repair: true })).length, 1)
    assert.deepEqual([modeOf(), await checkStore(store)], [0o750, []])
  })

  it('finds a fix-up of a stack that needs none', async (t) => {
    const { store } = await pulled(t)
    const dir = store.layout.fixup(chainId([digestOf(BASE), digestOf(TOP)]) ?? assert.fail())
    mkdirSync(join(dir, 'tree'))
    assert.match((await checkStore(store, { repair: true }))[0]?.why ?? '', /should not be there/)
    assert.deepEqual([readdirSync(dir), await checkStore(store)], [[], []])
  })

  it('looks at every blob that a layer is said to come as, and blames none but the wrong one', async (t) => {
    const { store, tree } = await pulled(t)
    const pullAlso = async (layers: readonly Buffer[]) => {
      const image = withLayers(IMAGE, layers)
      const server = await serveImage(t, image)
      const name = `${server.host}/app:1`
      await pullImage(store, parseReference(name), { platform, unpack: false })
      return { name, digest: image.layers[1]?.digest }
    }
    const base = gzipSync(BASE)
    await pullAlso([base, gzipSync(TOP, { level: 0 })])
    assert.deepEqual(await checkStore(store), [])
    writeFileSync(join(tree, 'other'), 'x')
    assert.equal((await checkStore(store, { repair: true })).length, 1)
    const wrong = await pullAlso([base, gzipSync(tarOf({ wrong: 'w' }))])
    for (const repair of [true, false]) {
      const [found, ...others] = await checkStore(store, { repair, platform })
      assert.deepEqual(
        [found?.kind, found?.digest, found?.image, found?.isRepaired, others],
        ['blob', wrong.digest, wrong.name, false, []],
      )
      assert.match(found?.why ?? '', /unpacks to .*image is broken/)
    }
    await store.change(async (images) => images.filter(({ name }) => name === wrong.name))
    const left = await checkStore(store)
    assert.deepEqual(
      left.map(({ digest }) => digest),
      [wrong.digest],
    )
  })

  it('says what cannot be fetched again, and leaves it as it was', async (t) => {
    const { server, store } = await pulled(t)
    flipped(store, LAYER)
    await server.close()
    const [found] = await checkStore(store, { repair: true, platform })
    assert.deepEqual([found?.digest, found?.isRepaired], [LAYER.digest, false])
    assert.match(found?.failure ?? '', /127\.0\.0\.1/)
    assert.equal(await store.has(LAYER), true)
    await store.change(async (images) => images.map((image) => ({ ...image, name: undefined })))
    const [nameless] = await checkStore(store, { repair: true })
    assert.match(nameless?.failure ?? '', /no name/)
  })
})
