import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parseReference } from '#oci/reference.ts'
import { openStore, removeImage, tagImage } from '#puller/index.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const APP = smallImage([tarOf({ app: 'a' })])
const OTHER = smallImage([tarOf({ other: 'o' })])
const { digest } = APP.manifest
const HEX = digest.slice('sha256:'.length)

async function setUp(t: TestContext) {
  const store = await openStore(tempDir(t))
  const names = async () => (await store.images()).map(({ name }) => name).sort()
  const place = (name: string | undefined, image = APP) => placeImage(store, name, image)
  const tag = (image: string, name: string) => tagImage(store, image, parseReference(name))
  const remove = (image: string, options: { force?: true; by?: string } = {}) =>
    removeImage(store, image, {
      force: options.force,
      users: async () =>
        options.by === undefined ? [] : [{ container: options.by, manifestDigest: digest }],
    })
  return { store, names, place, tag, remove }
}

const FULL = 'docker.io/library/app:1'

describe('tagImage', () => {
  for (const image of ['app:1', FULL, digest, HEX, HEX.slice(0, 5), `app@${digest}`]) {
    it(`finds an image by ${image.replaceAll(HEX, '<hex>')}`, async (t) => {
      const { store, place, tag, names } = await setUp(t)
      await place(FULL)
      await place('docker.io/library/other:1', OTHER)
      await tag(image, 'registry.example/team/app')
      assert.equal((await store.find('registry.example/team/app:latest')).descriptor.digest, digest)
      assert.equal((await names()).length, 3)
    })
  }

  it('leaves the image that had the name without one, unless it has others', async (t) => {
    const { names, place, tag } = await setUp(t)
    await place(FULL)
    await place('docker.io/library/other:1', OTHER)
    await tag('app:1', 'other:1')
    assert.deepEqual(await names(), [FULL, 'docker.io/library/other:1', undefined])
    await tag(OTHER.manifest.digest, 'other:2')
    await tag('other:2', 'other:3')
    await tag('app:1', 'other:3')
    assert.equal((await names()).includes(undefined), false)
  })

  it('refuses what is no name for an image, and images that are not there', async (t) => {
    const { place, tag } = await setUp(t)
    await place(FULL)
    await assert.rejects(tag('app:1', `app@${digest}`), { code: 'USAGE' })
    for (const image of [
      'app:2',
      'app',
      `other@${digest}`,
      'ffffffff',
      'A b',
      `sha256:${'0'.repeat(64)}`,
    ])
      await assert.rejects(tag(image, 'new:1'), { code: 'IMAGE_UNKNOWN' })
  })
})

describe('removeImage', () => {
  it('takes a name away, and the image with the last one', async (t) => {
    const { names, place, tag, remove } = await setUp(t)
    await place(FULL)
    await tag('app:1', 'app:2')
    assert.deepEqual(await remove('app:2', { by: 'web' }), {
      untagged: ['docker.io/library/app:2'],
      deleted: undefined,
    })
    assert.deepEqual(await remove('app:1'), { untagged: [FULL], deleted: digest })
    assert.deepEqual(await names(), [])
  })

  it('takes all names of one repository away by the digest', async (t) => {
    const { names, place, tag, remove } = await setUp(t)
    await place(FULL)
    await tag('app:1', 'app:2')
    const { untagged, deleted } = await remove(HEX.slice(0, 12))
    assert.deepEqual([untagged.length, deleted], [2, digest])
    assert.deepEqual(await names(), [])
  })

  it('wants to be forced when the digest has names in several repositories', async (t) => {
    const { names, place, tag, remove } = await setUp(t)
    await place(FULL)
    await tag('app:1', 'registry.example/app:1')
    await assert.rejects(remove(digest), { code: 'USAGE', message: /registry\.example/ })
    assert.equal((await remove(digest, { force: true })).untagged.length, 2)
    assert.deepEqual(await names(), [])
  })

  it('refuses the last name of what a container uses, unless forced', async (t) => {
    const { names, place, remove } = await setUp(t)
    await place(FULL)
    for (const image of ['app:1', digest])
      await assert.rejects(remove(image, { by: 'web' }), {
        code: 'IMAGE_IN_USE',
        message: /\bweb\b/,
      })
    assert.deepEqual(await names(), [FULL])
    assert.equal((await remove('app:1', { by: 'web', force: true })).deleted, digest)
  })

  it('knows a container by one of the manifests of an index', async (t) => {
    const { store, remove } = await setUp(t)
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPE.ociIndex,
        manifests: [APP.manifest],
      }),
    )
    const index = describeBytes(MEDIA_TYPE.ociIndex, bytes)
    await placeImage(store, undefined, APP)
    await store.writeSmall(index.digest, bytes)
    await store.name({ name: FULL, descriptor: index })
    await assert.rejects(remove('app:1', { by: 'web' }), { code: 'IMAGE_IN_USE' })
  })

  it('removes an image without a name, and one that is damaged', async (t) => {
    const { store, names, place, remove } = await setUp(t)
    await place(undefined)
    assert.deepEqual(await remove(digest), { untagged: [], deleted: digest })
    await place(FULL)
    writeFileSync(store.pathOf(APP.manifest), '{')
    assert.equal((await remove('app:1')).deleted, digest)
    assert.deepEqual(await names(), [])
  })

  it('leaves everything as it was when there is no such image', async (t) => {
    const { names, place, remove } = await setUp(t)
    await place(FULL)
    await assert.rejects(remove('app:2'), { code: 'IMAGE_UNKNOWN' })
    assert.deepEqual(await names(), [FULL])
  })
})
