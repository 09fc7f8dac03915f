import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { findImage } from '#puller/store/image-index.ts'
import { openStore } from '#puller/store/store.ts'
import { tempDir } from '../../support/temp-dir.ts'

const MANIFEST = Buffer.from('{}')
const DESCRIPTOR = describeBytes(MEDIA_TYPE.ociManifest, MANIFEST)

describe('the local store', () => {
  it('is an OCI image layout from the start', async (t) => {
    const root = tempDir(t)
    await openStore(root)
    assert.deepEqual(JSON.parse(readFileSync(join(root, 'content/oci-layout'), 'utf8')), {
      imageLayoutVersion: '1.0.0',
    })
    const index = JSON.parse(readFileSync(join(root, 'content/index.json'), 'utf8'))
    assert.deepEqual(index, { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] })
  })

  it('is refused where no directory can be, at once', async (t) => {
    const dir = tempDir(t)
    const [file, dangling] = [join(dir, 'file'), join(dir, 'dangling')]
    writeFileSync(file, '')
    symlinkSync(join(dir, 'nowhere'), dangling)
    const TABLE: readonly (readonly [root: string, why: RegExp])[] = [
      ['/proc/x', /ENOENT/],
      ['/proc/x/y', /ENOENT/],
      ['/sys/x', /EPERM|EACCES|EROFS/],
      ['/dev/null', /\/dev\/null is no directory/],
      ['/dev/null/x', /\/dev\/null is no directory/],
      [file, /file is no directory/],
      [dangling, /dangling is no directory/],
      [join(dangling, 'x'), /dangling is no directory/],
    ]
    for (const [root, message] of TABLE) {
      await assert.rejects(openStore(root), { code: 'STORE_FAILED', message }, root)
      await assert.rejects(openStore(root), {
        message: /^cannot use .* Choose another with --root/,
      })
    }
    assert.deepEqual(readdirSync(dir).sort(), ['dangling', 'file'])
  })

  it('keeps images by name, the newest for each', async (t) => {
    const store = await openStore(tempDir(t))
    const other = describeBytes(MEDIA_TYPE.ociManifest, Buffer.from('[]'))
    await store.name({ name: 'a:1', descriptor: other })
    await store.name({ name: 'b:1', descriptor: other })
    await store.name({ name: 'a:1', descriptor: DESCRIPTOR })
    assert.equal((await store.images()).length, 2)
    assert.equal((await store.find('a:1')).descriptor.digest, DESCRIPTOR.digest)
  })

  it('names every one of many images that are named at once', async (t) => {
    const root = tempDir(t)
    const stores = await Promise.all(Array.from({ length: 20 }, () => openStore(root)))
    await Promise.all(
      stores.map((store, at) => store.name({ name: `image:${at}`, descriptor: DESCRIPTOR })),
    )
    assert.equal((await openStore(root).then((store) => store.images())).length, 20)
  })

  it('hands out no bytes that are not those of the digest', async (t) => {
    const store = await openStore(tempDir(t))
    await store.writeSmall(DESCRIPTOR.digest, MANIFEST)
    assert.deepEqual(await store.readSmall(DESCRIPTOR), MANIFEST)
    writeFileSync(store.pathOf(DESCRIPTOR), '[]')
    await assert.rejects(store.readSmall(DESCRIPTOR), { code: 'CONTENT_MISMATCH' })
  })

  it('says what is missing, and which images there are', async (t) => {
    const store = await openStore(tempDir(t))
    await assert.rejects(store.readSmall(DESCRIPTOR), { code: 'LAYOUT_INVALID' })
    await store.name({ name: 'a:1', descriptor: DESCRIPTOR })
    await assert.rejects(store.find('b:1'), { code: 'IMAGE_UNKNOWN', message: /a:1/ })
  })

  it('refuses an index.json that is damaged', async (t) => {
    const store = await openStore(tempDir(t))
    writeFileSync(store.layout.index, '{"schemaVersion": 2,')
    await assert.rejects(store.images(), { code: 'LAYOUT_INVALID', message: /pull the images/ })
  })

  it('removes half-made things that nobody works on any more, and no others', async (t) => {
    const root = tempDir(t)
    const store = await openStore(root)
    const living = await store.stage()
    mkdirSync(living.dir)
    mkdirSync(join(store.layout.staging, 'dead/tree'), { recursive: true })
    writeFileSync(join(store.layout.staging, 'dead.lock'), '')
    await openStore(root)
    assert.equal(existsSync(living.dir), true)
    assert.equal(existsSync(join(store.layout.staging, 'dead')), false)
    await living.close()
    assert.deepEqual(readdirSync(store.layout.staging), [])
  })

  it('says which directory it cannot use', async (t) => {
    const file = join(tempDir(t), 'file')
    writeFileSync(file, '')
    await assert.rejects(openStore(file), { code: 'STORE_FAILED', message: /--root/ })
  })
})

describe('findImage', () => {
  const images = [
    { name: 'a', descriptor: DESCRIPTOR },
    { name: 'b', descriptor: DESCRIPTOR },
  ]

  it('finds by name, and without one when there is no choice', () => {
    assert.equal(findImage(images, 'b', 'here').name, 'b')
    assert.equal(findImage(images.slice(0, 1), undefined, 'here').name, 'a')
  })

  it('asks for a name when there are several images', () => {
    assert.throws(() => findImage(images, undefined, 'here'), {
      code: 'IMAGE_UNKNOWN',
      message: /a, b/,
    })
  })
})
