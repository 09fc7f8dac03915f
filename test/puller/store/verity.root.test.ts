import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '#oci/digest.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import {
  checkStore,
  holdLayers,
  openStore,
  prepareRootfs,
  pullImage,
  type Store,
  type StoreOptions,
  verityObstacle,
} from '#puller/index.ts'
import { readLayer } from '#puller/store/layers.ts'
import { verityDigest } from '#puller/verity.ts'
import { afterTest } from '../../support/after.ts'
import { serveImage } from '../../support/blob-server.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'

const platform = parsePlatform('linux/amd64')
const MARK = 'what the layer has to say'
const TAR = tarOf({ file: MARK, other: 'other' })
const DIFF_ID = digestOf(TAR)
const IMAGE = smallImage([TAR])

const KERNEL = '/sys/fs/ext4/features/verity'
const whyNot = existsSync(KERNEL) ? false : 'this kernel has no fs-verity for ext4'

async function pullInto(t: TestContext, root: string, options: StoreOptions) {
  const server = await serveImage(t, IMAGE)
  const store = await openStore(root, { layerStore: 'erofs', ...options })
  const reference = parseReference(`${server.host}/app:1`)
  await pullImage(store, reference, { platform })
  return { store, reference }
}

/** An ext4 of its own in a file, and a way to change the file while it isn't mounted. */
function ext4(t: TestContext, ...features: readonly string[]) {
  const [file, dir] = [join(tempDir(t), 'disk'), join(tempDir(t), 'mnt')]
  writeFileSync(file, '')
  truncateSync(file, 48 * 1024 * 1024)
  mkdirSync(dir)
  execFileSync('mkfs.ext4', ['-q', '-b', '4096', ...features, file])
  const mount = () => execFileSync('mount', ['-o', 'loop', file, dir])
  const unmount = () => execFileSync('umount', [dir])
  mount()
  afterTest(t, () => void unmount())
  return {
    dir,
    change(work: (file: string) => void) {
      unmount()
      work(file)
      mount()
    },
  }
}

/** Checks a store: what is wrong with its layers, and how many weren't read. */
async function check(store: Store, options: { readonly full?: true; readonly repair?: true } = {}) {
  let vouched = 0
  const found = await checkStore(store, { ...options, platform, onVouched: () => vouched++ })
  return { why: found.map(({ why }) => why), vouched }
}

describe('a store whose layers are to have fs-verity', () => {
  const WRONG: readonly (readonly [
    what: string,
    dirOf: (t: TestContext) => string,
    options: StoreOptions,
    why: RegExp,
  ])[] = [
    ['on a file system that has none', tmpfs, {}, /its file system has none/],
    [
      'on an ext4 without the feature',
      (t) => ext4(t, '-O', '^verity').dir,
      {},
      /made without the feature .*tune2fs|this kernel is built without it/,
    ],
    ['with layers of form dir', tempDir, { layerStore: 'dir' }, /here they are of form dir/],
  ]
  for (const [what, dirOf, options, why] of WRONG) {
    it(`${what} refuses new ones, says why, and takes them without`, async (t) => {
      const root = join(dirOf(t), 'store')
      const asked = pullInto(t, root, { ...options, layerVerity: true })
      await assert.rejects(asked, { code: 'STORE_FAILED', message: why })
      await assert.rejects(asked, { message: /--layer-verity/ })
      assert.deepEqual(globSync(['layers/*/*', 'staging/*'], { cwd: root }), [])
      const { store } = await pullInto(t, root, options)
      assert.match((await verityObstacle(store)) ?? '', why)
      assert.equal('verity' in (readLayer(store.layout, DIFF_ID) ?? {}), false)
      assert.deepEqual(await check(store), { why: [], vouched: 0 })
    })
  }

  it('gives it to the files of a layer, which check then need not read', {
    skip: whyNot,
  }, async (t) => {
    const { store } = await pullInto(t, ext4(t, '-O', 'verity').dir, { layerVerity: true })
    assert.equal(await verityObstacle(store), undefined)
    const { tar, image, record } = store.layout.layer(DIFF_ID)
    const digests = { tar: verityDigest(tar), image: verityDigest(image) }
    assert.deepEqual(readLayer(store.layout, DIFF_ID)?.verity, digests)
    for (const path of [tar, image, record])
      assert.throws(() => appendFileSync(path, 'x'), { code: 'EPERM' })
    assert.deepEqual(await check(store), { why: [], vouched: 1 })
    assert.deepEqual(await check(store, { full: true }), { why: [], vouched: 0 })
  })

  it('finds bytes of the disk that changed when it reads them', { skip: whyNot }, async (t) => {
    const disk = ext4(t, '-O', 'verity')
    const { store } = await pullInto(t, disk.dir, { layerVerity: true })
    disk.change((file) => flip(file, MARK))
    assert.throws(() => readFileSync(store.layout.layer(DIFF_ID).tar), { code: 'EIO' })
    assert.deepEqual(await check(store), { why: [], vouched: 1 })
    const { why } = await check(store, { full: true })
    assert.match(why.join(), /tar cannot be read: .*EIO/)
    await check(store, { full: true, repair: true })
    assert.deepEqual(await check(store, { full: true }), { why: [], vouched: 0 })
    assert.deepEqual(await check(store), { why: [], vouched: 1 })
  })

  it('doesn’t mount what was put in the place of a file', { skip: whyNot }, async (t) => {
    const { store, reference } = await pullInto(t, ext4(t, '-O', 'verity').dir, {
      layerVerity: true,
    })
    await replaceTar(store)
    await refusesUntilRepaired(store, reference, /tar has lost its fs-verity/)
    assert.deepEqual(await check(store), { why: [], vouched: 1 })
  })

  it('doesn’t mount a layer whose digests are not the recorded ones', {
    skip: whyNot,
  }, async (t) => {
    const { store, reference } = await pullInto(t, ext4(t, '-O', 'verity').dir, {
      layerVerity: true,
    })
    const { tar, image } = store.layout.layer(DIFF_ID)
    renameSync(tar, `${tar}.old`)
    renameSync(image, tar)
    renameSync(`${tar}.old`, image)
    await refusesUntilRepaired(
      store,
      reference,
      /tar is [0-9a-f]{64}, not [0-9a-f]{64} as recorded/,
    )
  })

  it('has lost it where it was copied to a file system without, and says so', async (t) => {
    const { store, reference } = await pullInto(t, tempDir(t), {})
    const record = readLayer(store.layout, DIFF_ID)
    const digests = { tar: '1'.repeat(64), image: '2'.repeat(64) }
    const path = store.layout.layer(DIFF_ID).record
    writeFileSync(path, JSON.stringify({ ...record, verity: digests }))
    await refusesUntilRepaired(store, reference, /tar has lost its fs-verity/)
    assert.deepEqual(await check(store), { why: [], vouched: 0 })
  })
})

function tmpfs(t: TestContext): string {
  const dir = tempDir(t)
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', dir])
  afterTest(t, () => void execFileSync('umount', [dir]))
  return dir
}

/** Changes a byte of each place of a file where a text is. */
function flip(file: string, text: string): void {
  const bytes = readFileSync(file)
  const fd = openSync(file, 'r+')
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1))
    writeSync(fd, 'W', at)
  closeSync(fd)
}

async function replaceTar(store: Store): Promise<void> {
  const { tar } = store.layout.layer(DIFF_ID)
  renameSync(tar, `${tar}.old`)
  copyFileSync(`${tar}.old`, tar)
}

/** A layer isn't mounted, check tells why, and after a repair it is. */
async function refusesUntilRepaired(
  store: Store,
  reference: ReturnType<typeof parseReference>,
  why: RegExp,
): Promise<void> {
  const { lowerDirs } = await prepareRootfs(store, reference, { platform })
  const hold = () => holdLayers(store.layout, lowerDirs)
  await assert.rejects(hold(), { code: 'STORE_FAILED', message: why })
  await assert.rejects(hold(), { message: /system check --repair/ })
  assert.match((await check(store)).why.join(), why)
  assert.match((await check(store, { repair: true })).why.join(), why)
  const held = await hold()
  assert.equal(readFileSync(join(lowerDirs[0] ?? '', 'file'), 'utf8'), MARK)
  await held.release()
}
