import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { findLocal } from '#puller/image/find-local.ts'
import {
  describeImage,
  loadImages,
  openImage,
  openStore,
  prepareRootfs,
  removeImage,
  tagImage,
} from '#puller/index.ts'
import { placeImage } from '../support/placed-image.ts'
import { type SmallImage, smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { AMD64, ARM64, BOTH, indexOf, writeLayoutOf } from './copy/images.ts'

const APP = smallImage([tarOf({ app: 'a' })])
const OTHER = smallImage([tarOf({ other: 'o' })], { config: { author: 'other' } })
const FULL = 'docker.io/library/app:1'
const ID = APP.config.digest
const HEX = ID.slice('sha256:'.length)

async function storeWith(t: TestContext, images: Readonly<Record<string, SmallImage>>) {
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  for (const [name, image] of Object.entries(images)) await placeImage(store, name, image)
  const find = async (text: string) => await findLocal(store, await store.images(), text)
  return { store, find }
}

describe('findLocal', () => {
  for (const id of [ID, HEX, HEX.slice(0, 12), `sha256:${HEX.slice(0, 12)}`]) {
    it(`finds an image by the digest of its config: ${id.length} characters`, async (t) => {
      const { store, find } = await storeWith(t, { [FULL]: APP, 'localhost/other:1': OTHER })
      const { descriptor, name, names } = await find(id)
      assert.deepEqual([descriptor.digest, name, names], [APP.manifest.digest, undefined, [FULL]])
      await tagImage(store, id, parseReference('tagged:1'))
      const { untagged } = await removeImage(store, id, { users: async () => [], force: true })
      assert.equal(untagged.length, 2)
    })
  }

  it('knows an image of that name before one with that id', async (t) => {
    const name = `docker.io/library/${HEX.slice(0, 8)}:latest`
    const { find } = await storeWith(t, { [FULL]: APP, [name]: OTHER })
    assert.equal((await find(HEX.slice(0, 8))).descriptor.digest, OTHER.manifest.digest)
    assert.equal((await find(HEX.slice(0, 9))).descriptor.digest, APP.manifest.digest)
  })

  it('asks for more digits when several digests or ids begin alike', async (t) => {
    const { store, find } = await storeWith(t, {})
    const images = Array.from({ length: 17 }, (_, number) => ({
      name: undefined,
      descriptor: describeBytes(MEDIA_TYPE.ociManifest, Buffer.from(String(number))),
    }))
    await store.change(async () => images)
    const first = images.map(({ descriptor }) => descriptor.digest['sha256:'.length] ?? '')
    const shared = first.find((digit, at) => first.indexOf(digit) < at) ?? ''
    await assert.rejects(find(shared), { code: 'USAGE', message: /more digits/ })
    for (const { descriptor } of images) {
      const found = await find(descriptor.digest.slice('sha256:'.length, 30))
      assert.equal(found.descriptor.digest, descriptor.digest)
    }
  })

  it('asks for a name when images have one config, as after another compression', async (t) => {
    const again = smallImage([tarOf({ app: 'a' })], { manifest: { annotations: { other: 'yes' } } })
    const { find } = await storeWith(t, { [FULL]: APP, 'localhost/again:1': again })
    assert.equal(again.config.digest, ID)
    await assert.rejects(find(ID), { code: 'USAGE', message: /or a name/ })
  })

  it('means by the config of one platform the image for that', async (t) => {
    const { store, find } = await storeWith(t, {})
    const layout = tempDir(t)
    writeLayoutOf(layout, BOTH, { name: 'both:1' })
    await loadImages(store, layout, { unpack: false })
    const { descriptor, manifest } = await find(ARM64.config.digest)
    assert.deepEqual(
      [descriptor.digest, manifest?.digest],
      [BOTH.top.digest, ARM64.manifest.digest],
    )
    const platform = parsePlatform('linux/amd64')
    const facts = await describeImage(store, ARM64.config.digest, platform)
    assert.deepEqual([facts.Id, facts.Architecture], [BOTH.top.digest, 'arm64'])
    const rootfs = await prepareRootfs(store, ARM64.config.digest.slice(7, 30))
    assert.equal(rootfs.manifestDigest, ARM64.manifest.digest)
    const named = await prepareRootfs(store, 'both:1', { platform })
    assert.equal(named.manifestDigest, AMD64.manifest.digest)
  })

  const CHILD = ARM64.manifest.digest
  const CHILD_HEX = CHILD.slice('sha256:'.length)
  for (const [what, text] of [
    ['its name and the digest', `both@${CHILD}`],
    ['its name, tag and the digest', `both:1@${CHILD}`],
    ['the digest', CHILD],
    ['the digits of the digest', CHILD_HEX],
    ['the first digits of the digest', CHILD_HEX.slice(0, 12)],
  ] as const) {
    it(`means by ${what} of the manifest for one platform the image for that`, async (t) => {
      const { store, find } = await storeWith(t, { [FULL]: APP })
      const layout = tempDir(t)
      writeLayoutOf(layout, BOTH, { name: 'both:1' })
      await loadImages(store, layout, { unpack: false })
      const { descriptor, manifest, names } = await find(text)
      assert.deepEqual([descriptor.digest, manifest?.digest], [BOTH.top.digest, CHILD])
      assert.deepEqual(names, ['docker.io/library/both:1'])
      const platform = parsePlatform('linux/amd64')
      const facts = await describeImage(store, text, platform)
      assert.deepEqual(
        [facts.Id, facts.ManifestDigest, facts.Architecture],
        [BOTH.top.digest, CHILD, 'arm64'],
      )
      const rootfs = await prepareRootfs(store, text)
      assert.equal(rootfs.manifestDigest, CHILD)
      const opened = await openImage(store, text)
      assert.equal(opened.image.descriptor.digest, CHILD)
      await opened.close()
      await tagImage(store, text, parseReference('arm:1'))
      assert.deepEqual((await find('arm:1')).descriptor, ARM64.manifest)
      const users = async () => []
      assert.deepEqual(await removeImage(store, 'arm:1', { users }), {
        untagged: ['docker.io/library/arm:1'],
        deleted: CHILD,
      })
      assert.deepEqual(await removeImage(store, text, { users }), {
        untagged: ['docker.io/library/both:1'],
        deleted: BOTH.top.digest,
      })
    })
  }

  it('means a manifest that several images have, and removes none of them by it', async (t) => {
    const again = indexOf([[ARM64, 'arm64']])
    const { store, find } = await storeWith(t, {})
    for (const [name, image] of [
      ['both:1', BOTH],
      ['both:2', again],
    ] as const) {
      const layout = tempDir(t)
      writeLayoutOf(layout, image, { name })
      await loadImages(store, layout, { unpack: false })
    }
    const found = await find(`both@${CHILD}`)
    assert.deepEqual([found.descriptor, found.names], [ARM64.manifest, []])
    assert.equal((await prepareRootfs(store, CHILD)).manifestDigest, CHILD)
    await assert.rejects(removeImage(store, CHILD, { users: async () => [] }), {
      code: 'USAGE',
      message: /several images/,
    })
    await assert.rejects(find(CHILD_HEX.slice(0, 12)), { code: 'USAGE' })
  })

  it('knows no manifest of another repository, nor one that is not here', async (t) => {
    const { store, find } = await storeWith(t, {})
    const layout = tempDir(t)
    writeLayoutOf(layout, BOTH, { name: 'both:1', lacks: (digest) => digest === CHILD })
    await loadImages(store, layout, { unpack: false })
    for (const text of [`other@${AMD64.manifest.digest}`, `both@${CHILD}`, CHILD])
      await assert.rejects(find(text), { code: 'IMAGE_UNKNOWN' })
  })
})
