import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import {
  checkStore,
  loadImages,
  openImage,
  openStore,
  pullImage,
  pushImage,
  saveImages,
  tagImage,
} from '#puller/index.ts'
import type { LayerFormName } from '#puller/store/layers.ts'
import { afterTest } from '../support/after.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { seed, setOf } from './copy/images.ts'

const MiB = 1024 * 1024
const IMAGE = smallImage([1, 2, 3].map((size) => tarOf({ noise: randomBytes(size * MiB) })))
const WHOLE = IMAGE.layers.reduce((sum, { size }) => sum + size, IMAGE.config.size)
const platform = parsePlatform('linux/amd64')

/** A file system of its own size. */
function smallDisk(t: TestContext, size: string): { dir: string; grow(size: string): void } {
  const dir = join(tempDir(t), 'disk')
  mkdirSync(dir)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir])
  afterTest(t, () => void execFileSync('umount', [dir]))
  return { dir, grow: (to) => execFileSync('mount', ['-o', `remount,size=${to}`, dir]) }
}

describe('a pull onto a disk that becomes full', () => {
  // The first has no room for the blobs, the others none for what they unpack to.
  const DISKS: Readonly<Record<LayerFormName, readonly string[]>> = {
    dir: ['2m', '8m'],
    erofs: ['8m'],
  }
  for (const [layerStore, sizes] of Object.entries(DISKS) as [LayerFormName, string[]][]) {
    for (const size of sizes) {
      it(`shows nothing, says what to do, and goes on when there is room (${layerStore}, ${size})`, async (t) => {
        const { host } = await startOpenRegistry(t)
        await seed(host, 'app', setOf(IMAGE), '1')
        const disk = smallDisk(t, size)
        const reference = parseReference(`${host}/app:1`)
        const pull = async () => {
          const store = await openStore(join(disk.dir, 'store'), { layerStore })
          return await pullImage(store, reference, { platform })
        }
        await assert.rejects(pull(), { code: 'STORE_FAILED', message: /no room .* system prune/ })
        const store = await openStore(join(disk.dir, 'store'), { layerStore })
        assert.deepEqual(await store.images(), [])
        const seen = ['content/blobs/*/*', 'layers/*/*', 'fixups/*/*']
        assert.deepEqual(globSync(seen, { cwd: join(disk.dir, 'store') }), [])
        assert.deepEqual(globSync('staging/*', { cwd: join(disk.dir, 'store') }), [])
        disk.grow('64m')
        const { transferred } = await pull()
        assert.ok(transferred < WHOLE, `${transferred} of ${WHOLE} bytes came again`)
        assert.equal((await store.images()).length, 1)
        assert.deepEqual(globSync('ingest/*', { cwd: join(disk.dir, 'store') }), [])
        assert.deepEqual(await checkStore(store), [])
      })
    }
  }
})

describe('a store on a disk that is read-only', () => {
  it('gives away what it has, and says why it takes nothing', async (t) => {
    const { host } = await startOpenRegistry(t)
    await seed(host, 'app', setOf(IMAGE), '1')
    await seed(host, 'other', setOf(smallImage([tarOf({ other: 'o' })])), '1')
    const disk = smallDisk(t, '64m')
    const store = await openStore(join(disk.dir, 'store'), { layerStore: 'dir' })
    const { name, digest } = await pullImage(store, parseReference(`${host}/app:1`), { platform })
    execFileSync('mount', ['-o', 'remount,ro', disk.dir])
    const file = join(tempDir(t), 'app.tar')
    await saveImages(store, [name], file, { format: 'oci-archive' })
    const opened = await openImage(store, name)
    const pushed = await pushImage(opened.image, parseReference(`${host}/app:2`))
    await opened.close()
    assert.equal(pushed.digest, digest)
    const refused = { code: 'STORE_FAILED', message: /cannot write to .*read-only/ }
    const other = parseReference(`${host}/other:1`)
    await assert.rejects(tagImage(store, name, parseReference('other:1')), refused)
    await assert.rejects(loadImages(store, file), refused)
    await assert.rejects(pullImage(store, other, { platform }), { code: 'STORE_FAILED' })
  })
})
