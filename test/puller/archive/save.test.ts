import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hostPlatform, parsePlatform } from '#oci/platform.ts'
import { saveImages } from '#puller/index.ts'
import { digestsOf, placeImage } from '../../support/placed-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { AMD64, ARM64, BOTH, indexOf, writeLayoutOf } from '../copy/images.ts'
import { FORMATS, IMAGE, NAME, newStore, OTHER, saved } from './archives.ts'

describe('saveImages', () => {
  for (const format of FORMATS) {
    it(`writes the same bytes for the same images (${format})`, async (t) => {
      const [one, two] = [
        await saved(t, ['app:1', 'registry.example/team/other:2'], format),
        await saved(t, ['app:1', 'registry.example/team/other:2'], format),
      ]
      assert.ok(one.equals(two))
      const twice = await saved(t, ['app:1', NAME, 'registry.example/team/other:2'], format)
      assert.ok(one.equals(twice))
    })
  }

  it('leaves no file when a blob is damaged or missing, and keeps the one that was there', async (t) => {
    const { store } = await newStore(t)
    await placeImage(store, NAME, IMAGE)
    const file = join(tempDir(t), 'app.tar')
    writeFileSync(file, 'before')
    const layer = IMAGE.layers[0]
    assert.ok(layer !== undefined)
    const save = (format: 'oci-dir' | 'oci-archive', to: string) =>
      saveImages(store, ['app:1'], to, { format })
    await assert.rejects(save('oci-archive', '/nowhere/app.tar'), { code: 'USAGE' })
    writeFileSync(store.pathOf(layer), Buffer.alloc(layer.size))
    await assert.rejects(save('oci-archive', file), { code: 'CONTENT_MISMATCH' })
    writeFileSync(store.pathOf(layer), '')
    await assert.rejects(save('oci-archive', file), { code: 'LAYOUT_INVALID' })
    await assert.rejects(save('oci-dir', `${file}.d`), { code: 'LAYOUT_INVALID' })
    assert.equal(readFileSync(file, 'utf8'), 'before')
    assert.equal(existsSync(`${file}.d/index.json`), false)
  })

  it('adds to a layout that is there', async (t) => {
    const { store } = await newStore(t)
    await placeImage(store, NAME, IMAGE)
    await placeImage(store, 'registry.example/team/other:2', OTHER)
    const refused = { code: 'USAGE', message: /^cannot write \/proc\/x: there is no directory/ }
    await assert.rejects(saveImages(store, ['app:1'], '/proc/x', { format: 'oci-dir' }), refused)
    const dir = join(tempDir(t), 'layout')
    for (const name of ['app:1', 'registry.example/team/other:2'])
      await saveImages(store, [name], dir, { format: 'oci-dir' })
    const other = await newStore(t)
    const loaded = await other.load(dir)
    assert.deepEqual(
      loaded.map(({ digest }) => digest),
      [IMAGE.manifest.digest, OTHER.manifest.digest],
    )
  })
})

describe('saveImages of one platform', () => {
  it('writes the manifest of that platform, and lists it for docker', async (t) => {
    const { store, load } = await newStore(t)
    const layout = tempDir(t)
    writeLayoutOf(layout, BOTH, { name: 'app:1' })
    await load(layout)
    const file = join(tempDir(t), 'app.tar')
    const platform = parsePlatform('linux/arm64')
    await saveImages(store, ['app:1'], file, { format: 'docker-archive', platform })
    const other = await newStore(t)
    assert.deepEqual(await other.load(file), [{ name: NAME, digest: ARM64.manifest.digest }])
    const digests = digestsOf(ARM64).map((digest) => digest.slice(7))
    assert.deepEqual(other.blobs(), digests.sort())
    const unknown = parsePlatform('linux/s390x')
    await assert.rejects(
      saveImages(store, ['app:1'], file, { format: 'oci-archive', platform: unknown }),
      { code: 'PLATFORM_UNKNOWN' },
    )
  })

  it('says so when the platform is not here', async (t) => {
    const { store, load } = await newStore(t)
    const layout = tempDir(t)
    const arm: readonly string[] = digestsOf(ARM64)
    writeLayoutOf(layout, BOTH, {
      name: 'app:1',
      lacks: (digest) => arm.includes(digest) && !AMD64.blobs.has(digest),
    })
    await load(layout)
    const options = { format: 'oci-archive', platform: parsePlatform('linux/arm64') } as const
    await assert.rejects(saveImages(store, ['app:1'], join(layout, 'x'), options), {
      code: 'PLATFORM_UNKNOWN',
      message: /--platform linux\/arm64/,
    })
  })

  it('lists the image for this machine first, whatever the order of its index', async (t) => {
    const { store, load } = await newStore(t)
    const layout = tempDir(t)
    const { architecture } = hostPlatform()
    const other = architecture === 'amd64' ? 'arm64' : 'amd64'
    const set = indexOf([
      [OTHER, other],
      [IMAGE, architecture],
    ])
    writeLayoutOf(layout, set, { name: 'app:1' })
    await load(layout)
    const file = join(tempDir(t), 'app.tar')
    await saveImages(store, ['app:1'], file, { format: 'docker-archive' })
    const list = readFileSync(file, 'latin1').match(/\[\{"Config":"blobs\/sha256\/([0-9a-f]+)"/)
    assert.equal(list?.[1], IMAGE.config.digest.slice(7))
  })
})
