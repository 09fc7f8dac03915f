import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { hostPlatform, parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { cosignTags } from '#oci/referrers-tag.ts'
import {
  listImages,
  measureStore,
  openStore,
  pruneImages,
  pullImage,
  removeGarbage,
  removeImage,
  tagImage,
} from '#puller/index.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { AMD64, artifactOn, BOTH, type ImageSet, indexOf, seed, setOf } from './copy/images.ts'

/** An SBOM of the manifest for one platform, a signature of that, and cosign's of the index. */
const SBOM = artifactOn(AMD64.manifest, 'application/vnd.example.sbom')
const SIGNED_SBOM = artifactOn(SBOM.top, 'application/vnd.example.signature')
const [TAG = ''] = cosignTags(BOTH.top.digest)
const COSIGN = setOf(smallImage([tarOf({ signature: 'of the index' })]))
const ARTIFACTS = [SBOM, SIGNED_SBOM, COSIGN]
const OTHER = smallImage([tarOf({ other: 'o' })])

const USED = [{ container: 'web', manifestDigest: AMD64.manifest.digest }]
const nobody = async () => []

async function setUp(t: TestContext) {
  const { host } = await startOpenRegistry(t)
  await seed(host, 'app', BOTH, '1')
  await seed(host, 'app', SBOM)
  await seed(host, 'app', SIGNED_SBOM)
  await seed(host, 'app', COSIGN, TAG)
  const store = await openStore(tempDir(t))
  const pull = (text: string, withReferrers: boolean) =>
    pullImage(store, parseReference(`${host}/${text}`), {
      platform: parsePlatform('linux/amd64'),
      unpack: false,
      withReferrers,
    })
  await pull('app:1', true)
  const has = ({ top, blobs }: ImageSet) =>
    [...blobs.keys()].every((digest) => existsSync(store.pathOf({ ...top, digest } as typeof top)))
  return {
    store,
    pull,
    name: (tag: string) => `${host}/app:${tag}`,
    /** How many of the artifacts are here once nothing is that nobody needs. */
    async artifacts() {
      await removeGarbage(store, nobody)
      return ARTIFACTS.filter(has).length
    },
    shown: async () => (await listImages(store)).filter(({ isAttached }) => !isAttached).length,
  }
}

type Setting = Awaited<ReturnType<typeof setUp>>

const REMOVALS: readonly {
  readonly what: string
  readonly remove: (setting: Setting) => Promise<unknown>
  readonly artifacts: number
  /** Images that are listed after it. */
  readonly shown: number
}[] = [
  {
    what: 'the image is removed by its name',
    remove: ({ store, name }) => removeImage(store, name('1'), { users: nobody }),
    ...{ artifacts: 0, shown: 0 },
  },
  {
    what: 'it is removed by its digest',
    remove: ({ store }) => removeImage(store, BOTH.top.digest, { users: nobody }),
    ...{ artifacts: 0, shown: 0 },
  },
  {
    what: 'it loses one of two names',
    async remove({ store, name }) {
      await tagImage(store, name('1'), parseReference('elsewhere.example/app:2'))
      await removeImage(store, name('1'), { users: nobody })
    },
    ...{ artifacts: 3, shown: 1 },
  },
  {
    what: 'it loses its name to another image',
    async remove({ store, name }) {
      await placeImage(store, name('1'), OTHER)
      await pruneImages(store, { users: async () => USED })
    },
    ...{ artifacts: 3, shown: 2 },
  },
  {
    what: 'it has lost its name, and nobody uses it',
    async remove({ store, name }) {
      await placeImage(store, name('1'), OTHER)
      await pruneImages(store, { users: nobody })
    },
    ...{ artifacts: 0, shown: 1 },
  },
  {
    what: 'all is pruned that no container uses, but one uses it',
    remove: ({ store }) => pruneImages(store, { all: true, users: async () => USED }),
    ...{ artifacts: 3, shown: 1 },
  },
  {
    what: 'all is pruned that nobody uses',
    remove: ({ store }) => pruneImages(store, { all: true, users: nobody }),
    ...{ artifacts: 0, shown: 0 },
  },
  {
    what: 'another image is removed',
    async remove({ store }) {
      await placeImage(store, 'docker.io/library/other:1', OTHER)
      await removeImage(store, 'other:1', { users: nobody })
    },
    ...{ artifacts: 3, shown: 1 },
  },
  {
    what: 'one of them is removed by its name',
    remove: ({ store, name }) => removeImage(store, name(TAG), { users: nobody }),
    ...{ artifacts: 2, shown: 1 },
  },
]

describe('what belongs to an image', () => {
  for (const { what, remove, artifacts, shown } of REMOVALS) {
    it(`${artifacts === 3 ? 'stays' : artifacts === 0 ? 'goes' : 'goes alone'} when ${what}`, async (t) => {
      const setting = await setUp(t)
      assert.equal(await setting.artifacts(), 3)
      assert.equal(await setting.shown(), 1)
      await remove(setting)
      assert.equal(await setting.artifacts(), artifacts)
      assert.equal(await setting.shown(), shown)
    })
  }

  it('is named among what rmi and prune take away', async (t) => {
    const { store, name, pull } = await setUp(t)
    const { untagged } = await removeImage(store, name('1'), { users: nobody })
    assert.equal(untagged.length, 4)
    assert.ok(untagged.includes(name(TAG)))
    await pull('app:1', true)
    const pruned = await pruneImages(store, { all: true, users: nobody })
    assert.equal(pruned.flatMap((each) => each.untagged).length, 4)
    assert.deepEqual(await store.images(), [])
  })

  it('is measured as a part of it, in use when it is', async (t) => {
    const { store } = await setUp(t)
    const measure = async (users: typeof USED) =>
      (await measureStore(store, { users: async () => users, dirsInUse: nobody })).images
    const used = await measure(USED)
    assert.deepEqual({ ...used, size: 0 }, { total: 1, active: 1, size: 0, reclaimable: 0 })
    const { reclaimable, size } = await measure([])
    assert.equal(reclaimable, size)
  })

  it('is an image of its own when it was pulled alone', async (t) => {
    const { store, pull, shown, artifacts, name } = await setUp(t)
    await removeImage(store, name('1'), { users: nobody })
    await pull(`app:${TAG}`, false)
    assert.equal(await shown(), 1)
    await placeImage(store, 'docker.io/library/other:1', OTHER)
    await removeImage(store, 'other:1', { users: nobody })
    assert.equal(await artifacts(), 1)
    await pull('app:1', false)
    assert.equal(await shown(), 1)
  })
})

describe('listImages', () => {
  it("takes buildkit's attestations for no platform", async (t) => {
    const attestation = smallImage([tarOf({ statement: 's' })], {
      config: { architecture: 'unknown', os: 'unknown' },
    })
    const { top, blobs } = indexOf([
      [AMD64, 'amd64'],
      [attestation, 'unknown'],
    ])
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    await placeImage(store, 'localhost/app:1', { ...AMD64, manifest: top, blobs })
    const [image] = await listImages(store)
    assert.deepEqual(image?.platforms, ['linux/amd64'])
  })

  it('tells when an image was made and its labels, of the platform that fits this machine', async (t) => {
    const { architecture } = hostPlatform()
    const made = (on: string, created: string) =>
      smallImage([tarOf({ on })], {
        config: { os: 'linux', architecture: on, created, config: { Labels: { on } } },
      })
    const here = made(architecture, '2025-01-01T00:00:00Z')
    const { top, blobs } = indexOf([
      [made('s390x', '2026-01-01T00:00:00Z'), 's390x'],
      [here, architecture],
    ])
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    await placeImage(store, 'localhost/app:1', { ...here, manifest: top, blobs })
    const [image] = await listImages(store)
    assert.deepEqual(
      [image?.created, image?.labels],
      ['2025-01-01T00:00:00Z', { on: architecture }],
    )
  })
})
