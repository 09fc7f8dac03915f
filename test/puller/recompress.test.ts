import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { globSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { describe, it, type TestContext } from 'node:test'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import { parseManifest } from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import { createCompressor } from '#puller/image/compression.ts'
import {
  blobsHeldBy,
  copyImage,
  importImage,
  type OpenedImage,
  openImage,
  openStore,
  parseCompression,
  parseLocation,
  pullImage,
  pushImage,
  recompressImage,
  removeGarbage,
  removeImage,
  type Store,
} from '#puller/index.ts'
import { startOpenRegistry } from '../support/open-registry.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf, writeLayout } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { BOTH, indexOf, writeLayoutOf } from './copy/images.ts'

const [BASE, TOP] = [tarOf({ base: 'b'.repeat(50_000) }), tarOf({ top: 't' })]
const IMAGE = smallImage([BASE, TOP])
const ZSTD = parseCompression('zstd')

const newStore = (t: TestContext) => openStore(tempDir(t), { layerStore: 'dir' })

async function recompressed(
  t: TestContext,
  image = IMAGE,
  { compression = ZSTD, force = false } = {},
): Promise<OpenedImage> {
  const store = await newStore(t)
  await placeImage(store, 'docker.io/library/app:1', image)
  const opened = await recompressImage(store, await openImage(store, 'app:1'), {
    compression,
    force,
  })
  t.after(() => opened.close())
  return opened
}

async function manifestAt({ image: { source, descriptor } }: OpenedImage) {
  const bytes = await source.readSmall(descriptor)
  const manifest = parseManifest(bytes, descriptor.mediaType)
  assert.ok(manifest.kind === 'image')
  return { manifest, json: JSON.parse(bytes.toString()) }
}

async function manifestOf(opened: OpenedImage) {
  const found = await manifestAt(opened)
  const { layers } = found.manifest
  const blobs = await Promise.all(layers.map((layer) => opened.image.source.readSmall(layer)))
  return { ...found, blobs }
}

describe('createCompressor', () => {
  for (const [format, level] of [
    ['gzip', 6],
    ['gzip', 1],
    ['zstd', 3],
    ['zstd', 9],
  ] as const) {
    it(`makes the same of the same bytes, however they come (${format} ${level})`, async () => {
      const text = randomBytes(150_000).toString('hex')
      for (const bytes of [Buffer.from(text), Buffer.from('short'), Buffer.alloc(0)]) {
        const digests = new Set<string>()
        for (const size of [777, 65_536, 131_072, 1 << 20]) {
          const chunks: Buffer[] = []
          for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
          const hash = createHash('sha256')
          await pipeline(chunks, createCompressor({ format, level }), hash)
          digests.add(hash.digest('hex'))
        }
        assert.equal(digests.size, 1, `${bytes.length} bytes`)
      }
    })
  }

  it('has the levels of its format, and no others', () => {
    assert.deepEqual(parseCompression(), { format: 'gzip', level: 6 })
    assert.deepEqual(parseCompression('zstd'), { format: 'zstd', level: 3 })
    assert.deepEqual(parseCompression('zstd', 22), { format: 'zstd', level: 22 })
    for (const [format, level] of [
      ['gzip', 10],
      ['zstd', 23],
    ] as const)
      assert.throws(() => parseCompression(format, level), { code: 'USAGE' })
  })
})

describe('recompressImage', () => {
  it('compresses every layer, and keeps config and diffIDs', async (t) => {
    const { manifest, blobs } = await manifestOf(await recompressed(t))
    assert.equal(manifest.config.digest, IMAGE.config.digest)
    assert.deepEqual(
      manifest.layers.map(({ mediaType }) => mediaType),
      [MEDIA_TYPE.ociLayerZstd, MEDIA_TYPE.ociLayerZstd],
    )
    assert.deepEqual(
      blobs.map((blob) => digestOf(zstdDecompressSync(blob))),
      [BASE, TOP].map((tar) => digestOf(tar)),
    )
  })

  it('gives the same image the same digest, and another level another one', async (t) => {
    const digestAt = async (level?: number) => {
      const compression = parseCompression('zstd', level)
      return (await recompressed(t, IMAGE, { compression })).image.descriptor.digest
    }
    assert.equal(await digestAt(), await digestAt())
    assert.notEqual(await digestAt(9), await digestAt())
  })

  it('leaves an image alone that has the format, unless forced', async (t) => {
    const compression = parseCompression('gzip', 1)
    const { image } = await recompressed(t, IMAGE, { compression })
    assert.equal(image.descriptor.digest, IMAGE.manifest.digest)
    const forced = await recompressed(t, IMAGE, { compression, force: true })
    assert.notEqual(forced.image.descriptor.digest, IMAGE.manifest.digest)
    const { blobs } = await manifestOf(forced)
    assert.deepEqual(
      blobs.map((blob) => gunzipSync(blob)),
      [BASE, TOP],
    )
  })

  it("makes an image of OCI of docker's, and keeps what else a manifest says", async (t) => {
    const old = smallImage([BASE])
    const chunked = { 'io.github.containers.zstd-chunked.manifest-position': '1:2:3:4' }
    const docker = smallImage([BASE], {
      manifest: {
        mediaType: MEDIA_TYPE.dockerManifest,
        config: { ...old.config, mediaType: MEDIA_TYPE.dockerConfig },
        layers: old.layers.map((layer) => ({
          ...layer,
          mediaType: MEDIA_TYPE.dockerLayerGzip,
          annotations: { ...chunked, kept: 'yes' },
          unknown: true,
        })),
        annotations: { made: 'here' },
        unknown: 1,
      },
    })
    const placed = {
      ...docker,
      manifest: { ...docker.manifest, mediaType: MEDIA_TYPE.dockerManifest },
    }
    const { json } = await manifestOf(await recompressed(t, placed))
    assert.equal(json.mediaType, MEDIA_TYPE.ociManifest)
    assert.equal(json.config.mediaType, MEDIA_TYPE.ociConfig)
    assert.deepEqual([json.annotations, json.unknown], [{ made: 'here' }, 1])
    assert.deepEqual([json.layers[0].annotations, json.layers[0].unknown], [{ kept: 'yes' }, true])
  })

  it('works through the platforms of an index that are there', async (t) => {
    const store = await newStore(t)
    const dir = tempDir(t)
    const [amd64, arm64] = BOTH.manifests
    writeLayoutOf(dir, BOTH, { lacks: (digest) => digest === arm64?.digest })
    const opened = await recompressImage(store, await openImage(store, `oci:${dir}`), {
      compression: ZSTD,
    })
    const { source, descriptor } = opened.image
    const { manifests } = JSON.parse((await source.readSmall(descriptor)).toString())
    assert.notEqual(manifests[0].digest, amd64?.digest)
    assert.deepEqual(manifests[0].platform, { os: 'linux', architecture: 'amd64' })
    assert.ok(await source.has(manifests[0]))
    assert.equal(manifests[1].digest, arm64?.digest)
    await opened.close()
    assert.deepEqual(readdirSync(store.layout.staging), [])
  })

  it("keeps buildkit's attestations as they are, and has them name what they are of", async (t) => {
    const statement = Buffer.from('{"_type":"https://in-toto.io/Statement/v0.1"}')
    const layer = describeBytes('application/vnd.in-toto+json', statement)
    const plain = smallImage([], {
      config: { rootfs: { type: 'layers', diff_ids: [layer.digest] } },
      manifest: { layers: [layer] },
    })
    const attestation = { ...plain, blobs: new Map(plain.blobs).set(layer.digest, statement) }
    const set = indexOf([
      [IMAGE, 'amd64'],
      [attestation, 'unknown', { 'vnd.docker.reference.digest': IMAGE.manifest.digest }],
    ])
    const dir = tempDir(t)
    writeLayoutOf(dir, set)
    const store = await newStore(t)
    const opened = await recompressImage(store, await openImage(store, `oci:${dir}`), {
      compression: ZSTD,
    })
    t.after(() => opened.close())
    const { source, descriptor } = opened.image
    const { manifests } = JSON.parse((await source.readSmall(descriptor)).toString())
    assert.notEqual(manifests[0].digest, IMAGE.manifest.digest)
    assert.equal(manifests[1].digest, attestation.manifest.digest)
    assert.deepEqual(manifests[1].annotations, {
      'vnd.docker.reference.digest': manifests[0].digest,
    })
  })

  it('leaves artifacts alone', async (t) => {
    const { config } = IMAGE
    const artifact = smallImage([BASE], {
      manifest: { config: { ...config, mediaType: 'application/vnd.example.config' } },
    })
    const { image } = await recompressed(t, artifact)
    assert.equal(image.descriptor.digest, artifact.manifest.digest)
  })

  it('refuses a layer that is not what the config says, and leaves nothing', async (t) => {
    const store = await newStore(t)
    const wrong = smallImage([BASE], {
      config: { rootfs: { type: 'layers', diff_ids: [digestOf(TOP)] } },
    })
    await placeImage(store, 'docker.io/library/app:1', wrong)
    const opened = await openImage(store, 'app:1')
    await assert.rejects(recompressImage(store, opened, { compression: ZSTD }), {
      code: 'DIFF_ID_MISMATCH',
    })
    assert.deepEqual(readdirSync(store.layout.staging), [])
  })
})

/** Pushes an image with its layers compressed anew. @returns how many were, and what was sent */
async function pushCompressed(store: Store, target: string, from = 'app:1') {
  const reference = parseReference(target)
  const { signal } = new AbortController()
  const isHeld = blobsHeldBy(reference, { signal })
  const opened = await recompressImage(
    store,
    await openImage(store, from, { compression: ZSTD, isHeld }),
    { compression: ZSTD, force: true, isHeld },
  )
  const { layers } = (await manifestAt(opened)).manifest
  const made = layers.filter(
    ({ digest }) =>
      globSync(`staging/*/layout/blobs/sha256/${digest.slice(7)}`, { cwd: store.layout.root })
        .length,
  )
  const result = await pushImage(opened.image, reference).finally(opened.close)
  return { ...result, compressed: made.length }
}

async function pushedTwice(t: TestContext) {
  const { host, log } = await startOpenRegistry(t)
  const store = await newStore(t)
  await placeImage(store, 'docker.io/library/app:1', IMAGE)
  const target = `${host}/team/app:1`
  const first = await pushCompressed(store, target)
  const records = () => globSync('compressed/*/*', { cwd: store.layout.root, withFileTypes: true })
  const again = async (to = target) => {
    log.length = 0
    return await pushCompressed(store, to)
  }
  return { host, log, store, target, first, again, records }
}

describe('a second push of layers that were compressed', () => {
  it('compresses none of them, asks the registry, and sends nothing', async (t) => {
    const { log, first, again } = await pushedTwice(t)
    assert.deepEqual([first.compressed, first.transferred > 0], [2, true])
    const { compressed, transferred, digest } = await again()
    assert.deepEqual([compressed, transferred, digest], [0, 0, first.digest])
    const methods = new Set(log.map((line) => line.replace(/ .*\/(blobs|manifests)\/.*/, ' $1')))
    assert.deepEqual([...methods].sort(), ['HEAD blobs', 'PUT manifests'])
  })

  it('compresses them for a registry that lacks them', async (t) => {
    const { first, again } = await pushedTwice(t)
    const other = await startOpenRegistry(t)
    const { compressed, digest } = await again(`${other.host}/team/app:1`)
    assert.deepEqual([compressed, digest], [2, first.digest])
  })

  const WRONG = {
    'is no JSON': '{',
    'is empty': '',
    'says nothing': '{}',
    'names no digest': '{"digest":"x","size":1}',
    'has no size': JSON.stringify({ digest: digestOf('x') }),
    'names a blob that is nowhere': JSON.stringify({ digest: digestOf('x'), size: 1 }),
  }
  for (const [what, text] of Object.entries(WRONG)) {
    it(`compresses a layer whose record ${what}`, async (t) => {
      const { store, target, first, again, records } = await pushedTwice(t)
      const [record] = records()
      assert.ok(record !== undefined)
      writeFileSync(join(record.parentPath, record.name), text)
      const { compressed, digest } = await again()
      assert.deepEqual([compressed, digest], [1, first.digest])
      assert.equal((await again()).compressed, 0)
      await pullImage(store, parseReference(target))
    })
  }

  it('is forgotten with the image, and not before', async (t) => {
    const { store, records } = await pushedTwice(t)
    const nobody = async () => []
    await removeGarbage(store, nobody)
    assert.equal(records().length, 2)
    await removeImage(store, 'app:1', { users: nobody })
    await removeGarbage(store, nobody)
    assert.deepEqual(records(), [])
  })

  const ON_DISK: readonly (readonly [what: string, write: (dir: string) => string])[] = [
    [
      'an OCI image layout',
      (dir) => {
        writeLayout(dir, IMAGE)
        return `oci:${dir}`
      },
    ],
    [
      "docker's archive, which holds layers uncompressed",
      (dir) => {
        const path = join(dir, 'app.tar')
        const list = { Config: 'config.json', RepoTags: ['app:1'], Layers: ['0.tar', '1.tar'] }
        const config = IMAGE.blobs.get(IMAGE.config.digest) ?? ''
        const files = { '0.tar': BASE, '1.tar': TOP, 'config.json': config }
        writeFileSync(path, tarOf({ ...files, 'manifest.json': JSON.stringify([list]) }))
        return `docker-archive:${path}`
      },
    ],
  ]
  for (const [what, write] of ON_DISK) {
    it(`compresses none of ${what}, until the registry lacks them`, async (t) => {
      const { host } = await startOpenRegistry(t)
      const store = await newStore(t)
      const from = write(tempDir(t))
      const push = (name: string) => pushCompressed(store, `${host}/team/${name}:1`, from)
      const first = await push('app')
      assert.deepEqual([first.compressed, first.transferred > 0], [2, true])
      const again = await push('app')
      assert.deepEqual([again.compressed, again.transferred, again.digest], [0, 0, first.digest])
      const elsewhere = await push('other')
      assert.deepEqual([elsewhere.compressed, elsewhere.digest], [2, first.digest])
      await pullImage(store, parseReference(`${host}/team/other:1`))
      await removeGarbage(store, async () => [])
      assert.deepEqual(globSync('staging/*', { cwd: store.layout.root }), [])
    })
  }

  it("compresses none of docker's archive when that is copied, either", async (t) => {
    const { host } = await startOpenRegistry(t)
    const store = await newStore(t)
    const from = parseLocation(ON_DISK[1]?.[1](tempDir(t)) ?? '')
    const to = parseLocation(`${host}/team/app:1`)
    const copy = () => copyImage({ from, to, openStore: async () => store })
    const { digest, transferred } = await copy()
    assert.ok(transferred > 0)
    const records = globSync('compressed/*/*', { cwd: store.layout.root, withFileTypes: true })
    assert.equal(records.length, 2)
    const before = records.map(({ parentPath, name }) => statSync(join(parentPath, name)).ino)
    const again = await copy()
    assert.deepEqual([again.digest, again.transferred], [digest, 0])
    const after = records.map(({ parentPath, name }) => statSync(join(parentPath, name)).ino)
    assert.deepEqual(after, before)
  })
})

describe('importImage', () => {
  it('gives the same tree the same digest with zstd, too', async (t) => {
    const tree = join(tempDir(t), 'tree')
    mkdirSync(tree)
    writeFileSync(join(tree, 'file'), 'content')
    const digestOfImport = async () => {
      const { digest } = await importImage(await newStore(t), tree, parseReference('app:1'), {
        compression: ZSTD,
        platform: parsePlatform('linux/amd64'),
      })
      return digest
    }
    assert.equal(await digestOfImport(), await digestOfImport())
  })
})
