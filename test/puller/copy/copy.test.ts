import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference, parseRepositoryName } from '#oci/reference.ts'
import { type CopyOptions, copyImage, openStore, parseLocation, pullImage } from '#puller/index.ts'
import { openRepository } from '#puller/registry/client.ts'
import { type Meddler, startOpenRegistry } from '../../support/open-registry.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import {
  AMD64,
  ARM64,
  artifactOn,
  BOTH,
  type ImageSet,
  seed,
  setOf,
  writeLayoutOf,
} from './images.ts'

const SIGNATURE = artifactOn(BOTH.top, 'application/vnd.example.signature')
const SBOM = artifactOn(AMD64.manifest, 'application/vnd.example.sbom')
const SIGNED_SBOM = artifactOn(SBOM.top, 'application/vnd.example.signature')
const ARTIFACTS = [SIGNATURE, SBOM, SIGNED_SBOM]

/** What cosign signs, and what it says of that, by tags; a signature of an SBOM, too. */
const COSIGN_SBOM = setOf(smallImage([tarOf({ sbom: '{}' })]))
const COSIGN: readonly (readonly [string, ImageSet])[] = [
  [cosignTag(BOTH.top.digest, 'sig'), setOf(smallImage([tarOf({ signature: 'index' })]))],
  [cosignTag(AMD64.manifest.digest, 'att'), setOf(smallImage([tarOf({ attestation: 'amd64' })]))],
  [cosignTag(AMD64.manifest.digest, 'sbom'), COSIGN_SBOM],
  [cosignTag(COSIGN_SBOM.top.digest, 'sig'), setOf(smallImage([tarOf({ signature: 'sbom' })]))],
]

function cosignTag(digest: string, kind: string): string {
  return `${digest.replace(':', '-')}.${kind}`
}

async function seedSigned(host: string): Promise<void> {
  await seed(host, 'app', BOTH, '1')
  for (const [tag, set] of COSIGN) await seed(host, 'app', set, tag)
}

async function assertSigned(host: string): Promise<void> {
  const repository = parseRepositoryName('app')
  const client = await openRepository({ registry: host, repository, access: 'pull' })
  for (const [tag, set] of COSIGN) {
    assert.equal((await client.getManifest(tag)).digest, set.top.digest)
    await assertHas(host, 'app', set)
  }
}

const noStore = async () => assert.fail('the local store was opened')

function copy(from: string, to: string, options?: CopyOptions) {
  const places = { from: parseLocation(from), to: parseLocation(to), openStore: noStore }
  return copyImage(places, options)
}

/** Every blob and manifest of a set, byte for byte. */
async function assertHas(host: string, repository: string, { manifests, blobs }: ImageSet) {
  const name = parseRepositoryName(repository)
  const client = await openRepository({ registry: host, repository: name, access: 'pull' })
  for (const [digest, bytes] of blobs) {
    const manifest = manifests.find((each) => each.digest === digest)
    if (manifest === undefined) assert.ok(await client.hasBlob(digest as never), digest)
    else assert.deepEqual((await client.getManifest(digest)).bytes, bytes)
  }
}

/** What a layout on disk has of a set, besides what is in it. */
function assertLayout(dir: string, sets: readonly ImageSet[]): void {
  for (const { blobs } of sets)
    for (const [digest, bytes] of blobs)
      assert.deepEqual(readFileSync(join(dir, 'blobs', ...digest.split(':'))), bytes)
  assert.deepEqual(readdirSync(dir).sort(), ['blobs', 'index.json', 'oci-layout'])
}

describe('copyImage from registry to registry', () => {
  it('copies an index with all its manifests and blobs, under the same digest', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    await seed(from.host, 'team/app', BOTH, '1')
    const result = await copy(`${from.host}/team/app:1`, `docker://${to.host}/mirror/app:2`)
    assert.equal(result.digest, BOTH.top.digest)
    assert.equal(result.name, `${to.host}/mirror/app:2`)
    await assertHas(to.host, 'mirror/app', BOTH)
    const again = await copy(`${from.host}/team/app:1`, `${to.host}/mirror/app:2`)
    assert.equal(again.transferred, 0)
  })

  it('copies the manifest of one platform alone when asked', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    await seed(from.host, 'team/app', BOTH, '1')
    const platform = parsePlatform('linux/arm64')
    const result = await copy(`${from.host}/team/app:1`, `${to.host}/app`, { platform })
    assert.equal(result.digest, ARM64.manifest.digest)
    await assertHas(to.host, 'app', setOf(ARM64))
    assert.ok(
      !from.log.some((line) => line.startsWith('GET') && line.endsWith(AMD64.manifest.digest)),
    )
  })

  it('reads no blob that it can mount from another repository of the registry', async (t) => {
    const { host, log } = await startOpenRegistry(t)
    await seed(host, 'team/app', BOTH, '1')
    const { transferred } = await copy(`${host}/team/app:1`, `${host}/other/app:1`)
    assert.equal(transferred, 0)
    assert.ok(!log.some((line) => line.startsWith('GET') && line.includes('/blobs/')))
    await assertHas(host, 'other/app', BOTH)
  })

  it('takes along what refers to the image, and what refers to that', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    await seed(from.host, 'app', BOTH, '1')
    for (const artifact of ARTIFACTS) await seed(from.host, 'app', artifact)
    const result = await copy(`${from.host}/app:1`, `${to.host}/app:1`, { withReferrers: true })
    assert.equal(result.referrers, ARTIFACTS.length)
    for (const artifact of ARTIFACTS) await assertHas(to.host, 'app', artifact)
    const plain = await copy(`${from.host}/app:1`, `${to.host}/plain:1`)
    assert.equal(plain.referrers, 0)
  })

  it('lists referrers under a tag where registries have no API for them', async (t) => {
    const withoutApi: Meddler = ({ url = '' }) =>
      url.includes('/referrers/') ? { status: 404 } : { hides: 'oci-subject' }
    const from = await startOpenRegistry(t)
    const between = await startOpenRegistry(t, withoutApi)
    const to = await startOpenRegistry(t)
    await seed(from.host, 'app', BOTH, '1')
    for (const artifact of ARTIFACTS) await seed(from.host, 'app', artifact)
    const options = { withReferrers: true }
    await copy(`${from.host}/app:1`, `${between.host}/app:1`, options)
    const { referrers } = await copy(`${between.host}/app:1`, `${to.host}/app:1`, options)
    assert.equal(referrers, ARTIFACTS.length)
  })

  it('takes along what cosign keeps under tags of its own', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    await seedSigned(from.host)
    const options = { withReferrers: true }
    const { referrers } = await copy(`${from.host}/app:1`, `${to.host}/app:1`, options)
    assert.equal(referrers, COSIGN.length)
    await assertSigned(to.host)
  })

  const WRONG: Readonly<Record<string, readonly [string, string, string]>> = {
    'an image that is not there': ['nothing:1', 'app:1', 'IMAGE_UNKNOWN'],
    'a digest that the image has not': [
      'app:1',
      `app@sha256:${'0'.repeat(64)}`,
      'CONTENT_MISMATCH',
    ],
  }
  for (const [what, [source, target, code]] of Object.entries(WRONG)) {
    it(`refuses ${what}`, async (t) => {
      const { host } = await startOpenRegistry(t)
      await seed(host, 'app', setOf(AMD64), '1')
      await assert.rejects(copy(`${host}/${source}`, `${host}/${target}`), { code })
    })
  }
})

describe('copyImage to and from a layout on disk', () => {
  it('leaves nothing but a valid layout, which holds the referrers, too', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    const dir = join(tempDir(t), 'layout')
    await seed(from.host, 'app', BOTH, '1')
    for (const artifact of ARTIFACTS) await seed(from.host, 'app', artifact)
    const there = await copy(`${from.host}/app:1`, `oci:${dir}:1`, { withReferrers: true })
    assert.equal(there.digest, BOTH.top.digest)
    assertLayout(dir, [BOTH, ...ARTIFACTS])
    // Lists of referrers are no images to choose from.
    const back = await copy(`oci:${dir}`, `${to.host}/app:1`, { withReferrers: true })
    assert.equal(back.digest, BOTH.top.digest)
    assert.equal(back.referrers, ARTIFACTS.length)
    for (const set of [BOTH, ...ARTIFACTS]) await assertHas(to.host, 'app', set)
  })

  it("holds cosign's tags, too", async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    const dir = join(tempDir(t), 'layout')
    await seedSigned(from.host)
    const options = { withReferrers: true }
    await copy(`${from.host}/app:1`, `oci:${dir}:1`, options)
    assertLayout(dir, [BOTH, ...COSIGN.map(([, set]) => set)])
    await copy(`oci:${dir}`, `${to.host}/app:1`, options)
    await assertSigned(to.host)
  })

  it('copies one layout to another, beside what is there', async (t) => {
    const [one, two] = [tempDir(t), tempDir(t)]
    writeLayoutOf(one, BOTH, { name: '1' })
    writeLayoutOf(two, SBOM, { name: 'sbom' })
    await copy(`oci:${one}:1`, `oci:${two}:app`)
    assertLayout(two, [BOTH, SBOM])
    const { manifests } = JSON.parse(readFileSync(join(two, 'index.json'), 'utf8'))
    assert.equal(manifests.length, 2)
  })

  it('says at once where no layout can be', async (t) => {
    const dir = tempDir(t)
    writeLayoutOf(dir, BOTH)
    const refused = { code: 'STORE_FAILED', message: /^cannot write to \/proc\/x\/y: ENOENT/ }
    await assert.rejects(copy(`oci:${dir}`, 'oci:/proc/x/y'), refused)
  })

  it('copies what a sparse layout has, and fails when all platforms are asked for', async (t) => {
    const [from, to] = [tempDir(t), tempDir(t)]
    const arm = ARM64.layers[0]?.digest
    writeLayoutOf(from, BOTH, {
      lacks: (digest) =>
        [ARM64.manifest.digest, ARM64.config.digest, arm].includes(digest as never),
    })
    await assert.rejects(copy(`oci:${from}`, `oci:${to}:1`, { allPlatforms: true }), {
      code: 'IMAGE_UNKNOWN',
      message: /linux\/arm64/,
    })
    await copy(`oci:${from}`, `oci:${to}:1`)
    assertLayout(to, [setOf(AMD64)])
  })

  it('lets nobody have a blob that is damaged where it comes from', async (t) => {
    const { host } = await startOpenRegistry(t)
    const [from, to] = [tempDir(t), tempDir(t)]
    writeLayoutOf(from, setOf(AMD64))
    const [layer] = AMD64.layers
    const path = join(from, 'blobs', ...(layer?.digest ?? '').split(':'))
    writeFileSync(path, Buffer.alloc(layer?.size ?? 0))
    for (const target of [`${host}/app:1`, `oci:${to}:1`]) {
      await assert.rejects(copy(`oci:${from}`, target), { code: 'CONTENT_MISMATCH' })
    }
    assert.deepEqual(globSync(`blobs/*/${layer?.digest.slice(7)}`, { cwd: to }), [])
  })

  it('copies into the local store and out of it', async (t) => {
    const { host } = await startOpenRegistry(t)
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    await seed(host, 'app', BOTH, '1')
    const places = { openStore: async () => store }
    const kept = parseLocation('store:kept:1')
    await copyImage({ from: parseLocation(`${host}/app:1`), to: kept, ...places })
    await copyImage({ from: kept, to: parseLocation(`${host}/again:1`), ...places })
    await assertHas(host, 'again', BOTH)
    assert.ok(await store.find('docker.io/library/kept:1'))
  })

  it('copies on what was pulled with all platforms and referrers', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    await seed(from.host, 'app', BOTH, '1')
    await seedSigned(from.host)
    for (const artifact of ARTIFACTS) await seed(from.host, 'app', artifact)
    const name = `${from.host}/app:1`
    const options = { platform: parsePlatform('linux/amd64'), unpack: false }
    await pullImage(store, parseReference(name), {
      ...options,
      allPlatforms: true,
      withReferrers: true,
    })
    const { referrers } = await copyImage(
      {
        from: parseLocation(`store:${name}`),
        to: parseLocation(`${to.host}/app:1`),
        openStore: async () => store,
      },
      { allPlatforms: true, withReferrers: true },
    )
    assert.equal(referrers, ARTIFACTS.length + COSIGN.length)
    for (const set of [BOTH, ...ARTIFACTS]) await assertHas(to.host, 'app', set)
    await assertSigned(to.host)
  })
})

describe('copyImage to and from archives', () => {
  const archives = async (t: TestContext) => {
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    const dir = tempDir(t)
    const copyArchive = (from: string, to: string, options?: CopyOptions) => {
      const places = { from: parseLocation(from), to: parseLocation(to) }
      return copyImage({ ...places, openStore: async () => store }, options)
    }
    return { store, dir, copyArchive }
  }

  for (const kind of ['oci-archive', 'docker-archive']) {
    it(`brings an image back as it was, and the same bytes each time (${kind})`, async (t) => {
      const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
      const { store, dir, copyArchive } = await archives(t)
      await seed(from.host, 'app', BOTH, '1')
      const [one, two] = [`${kind}:${dir}/one.tar:app:1`, `${kind}:${dir}/two.tar:app:1`]
      const { digest } = await copyArchive(`${from.host}/app:1`, one)
      assert.equal(digest, BOTH.top.digest)
      await copyArchive(one, two)
      assert.ok(readFileSync(`${dir}/one.tar`).equals(readFileSync(`${dir}/two.tar`)))
      await copyArchive(`${kind}:${dir}/two.tar`, `${to.host}/back:1`, { allPlatforms: true })
      await assertHas(to.host, 'back', BOTH)
      assert.deepEqual(readdirSync(store.layout.staging), [])
      assert.deepEqual(await store.images(), [])
    })
  }

  it('take referrers along when they are of OCI, and refuse them when they are of docker', async (t) => {
    const [from, to] = [await startOpenRegistry(t), await startOpenRegistry(t)]
    const { dir, copyArchive } = await archives(t)
    await seed(from.host, 'app', BOTH, '1')
    for (const artifact of ARTIFACTS) await seed(from.host, 'app', artifact)
    const options = { withReferrers: true }
    await assert.rejects(copyArchive(`${from.host}/app:1`, `docker-archive:${dir}/a`, options), {
      code: 'USAGE',
    })
    await copyArchive(`${from.host}/app:1`, `oci-archive:${dir}/app.tar`, options)
    const back = await copyArchive(`oci-archive:${dir}/app.tar`, `${to.host}/app:1`, options)
    assert.equal(back.referrers, ARTIFACTS.length)
    for (const set of [BOTH, ...ARTIFACTS]) await assertHas(to.host, 'app', set)
  })

  it('leave the file as it was when the image cannot be had', async (t) => {
    const { host } = await startOpenRegistry(t)
    const { store, dir, copyArchive } = await archives(t)
    writeFileSync(`${dir}/app.tar`, 'before')
    await assert.rejects(copyArchive(`${host}/nothing:1`, `oci-archive:${dir}/app.tar`), {
      code: 'IMAGE_UNKNOWN',
    })
    await seed(host, 'app', setOf(AMD64), '1')
    await assert.rejects(copyArchive(`${host}/app:1`, 'oci-archive:/nowhere/app.tar'), {
      code: 'USAGE',
    })
    assert.deepEqual(readdirSync(dir), ['app.tar'])
    assert.equal(readFileSync(`${dir}/app.tar`, 'utf8'), 'before')
    assert.deepEqual(readdirSync(store.layout.staging), [])
  })
})
