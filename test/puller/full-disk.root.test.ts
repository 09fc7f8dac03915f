import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { globSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import {
  checkStore,
  copyImage,
  loadImages,
  openImage,
  openStore,
  parseLocation,
  pruneImages,
  pullImage,
  pushImage,
  removeGarbage,
  removeImage,
  saveImages,
  tagImage,
} from '#puller/index.ts'
import type { LayerFormName } from '#puller/store/layers.ts'
import { afterTest } from '../support/after.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { fillDisk, smallDisk } from '../support/small-disk.ts'
import { tempDir } from '../support/temp-dir.ts'
import { seed, setOf } from './copy/images.ts'

const MiB = 1024 * 1024
const IMAGE = smallImage([1, 2, 3].map((size) => tarOf({ noise: randomBytes(size * MiB) })))
const SMALL = smallImage([tarOf({ noise: randomBytes(MiB) }), tarOf({ more: 'more' })])
const WHOLE = IMAGE.layers.reduce((sum, { size }) => sum + size, IMAGE.config.size)
const platform = parsePlatform('linux/amd64')

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

describe('a store on a disk that is full', () => {
  it('is not checked, and no layer is blamed for that', async (t) => {
    const { host } = await startOpenRegistry(t)
    await seed(host, 'app', setOf(IMAGE), '1')
    const disk = smallDisk(t, '14m')
    const store = await openStore(join(disk.dir, 'store'), { layerStore: 'dir' })
    await pullImage(store, parseReference(`${host}/app:1`), { platform })
    await assert.rejects(checkStore(store), { code: 'STORE_FAILED', message: /no room .* prune/ })
    disk.grow('64m')
    assert.deepEqual(await checkStore(store), [])
  })
})

describe('a store on a disk without a free block or file', () => {
  const DISKS: Readonly<Record<string, (t: TestContext) => string>> = {
    'tmpfs, no blocks': (t) => smallDisk(t, '14m,nr_inodes=400').dir,
    'tmpfs, no files': (t) => smallDisk(t, '64m,nr_inodes=200').dir,
    'ext4, no blocks': (t) => smallExt4(t),
    'ext4, no files': (t) => smallExt4(t, '-N', '256'),
  }
  for (const [name, diskOf] of Object.entries(DISKS)) {
    it(`loses a name, then images, and nothing is left of them (${name})`, async (t) => {
      const { host } = await startOpenRegistry(t)
      await seed(host, 'app', setOf(SMALL), '1')
      const dir = diskOf(t)
      const root = join(dir, 'store')
      const store = await openStore(root, { layerStore: 'dir' })
      const reference = parseReference(`${host}/app:1`)
      await pullImage(store, reference, { platform })
      await tagImage(store, `${host}/app:1`, parseReference('other:1'))
      const empty = fillDisk(dir)
      await assert.rejects(tagImage(store, 'other:1', parseReference('third:1')), {
        code: 'ENOSPC',
      })
      const users = async () => []
      for (const image of [`${host}/app:1`, 'other:1']) {
        const opened = await openStore(root)
        await removeImage(opened, image, { users })
        await removeGarbage(opened, users)
      }
      assert.deepEqual(await store.images(), [])
      assert.deepEqual(
        globSync(['content/blobs/*/*', 'layers/*/*', 'staging/*'], { cwd: root }),
        [],
      )
      empty()
      await pullImage(await openStore(root, { layerStore: 'dir' }), reference, { platform })
      fillDisk(dir)
      const opened = await openStore(root)
      assert.equal((await pruneImages(opened, { all: true, users })).length, 1)
      await removeGarbage(opened, users)
      assert.deepEqual(globSync('content/blobs/*/*', { cwd: root }), [])
      assert.deepEqual(await checkStore(await openStore(root)), [])
    })
  }
})

function smallExt4(t: TestContext, ...options: readonly string[]): string {
  const [file, dir] = [join(tempDir(t), 'disk'), join(tempDir(t), 'mnt')]
  writeFileSync(file, '')
  truncateSync(file, 16 * MiB)
  mkdirSync(dir)
  execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', ...options, file])
  execFileSync('mount', ['-o', 'loop', file, dir])
  afterTest(t, () => void execFileSync('umount', [dir]))
  return dir
}

describe('a copy to a layout on a disk that becomes full', () => {
  it('tells to make room there, not in the local store', async (t) => {
    const { host } = await startOpenRegistry(t)
    await seed(host, 'app', setOf(IMAGE), '1')
    const { dir } = smallDisk(t, '2m')
    const copying = copyImage({
      from: parseLocation(`${host}/app:1`),
      to: parseLocation(`oci:${dir}/layout:1`),
      openStore: () => openStore(tempDir(t)),
    })
    await assert.rejects(copying, ({ code, message }) => {
      assert.equal(code, 'STORE_FAILED')
      assert.equal(
        message,
        `no room is left for ${dir}/layout: make some on its disk, and try again`,
      )
      return true
    })
  })
})

describe('a store on a disk that is read-only', () => {
  it('is opened whatever was left in it, and says why it is not checked', async (t) => {
    const { host } = await startOpenRegistry(t)
    await seed(host, 'app', setOf(IMAGE), '1')
    const disk = smallDisk(t, '64m')
    const root = join(disk.dir, 'store')
    const { layout } = await openStore(root, { layerStore: 'dir' })
    mkdirSync(layout.leases, { recursive: true })
    for (const left of [join(layout.leases, 'dead'), join(layout.staging, 'dead.lock')])
      writeFileSync(left, '')
    execFileSync('mount', ['-o', 'remount,ro', disk.dir])
    const store = await openStore(root)
    assert.deepEqual(await store.images(), [])
    const message = /read-only .*make it writable/
    await assert.rejects(checkStore(store), { code: 'STORE_FAILED', message })
    execFileSync('mount', ['-o', 'remount,rw', disk.dir])
    await openStore(root)
    assert.deepEqual(globSync('{leases,staging}/*', { cwd: root }), [])
  })

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
