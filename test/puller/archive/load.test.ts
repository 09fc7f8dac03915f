import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestOf } from '#oci/digest.ts'
import type { ErrorCode } from '#oci/error.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { openArchive } from '#puller/archive/stage.ts'
import { readBlob } from '#puller/archive/write.ts'
import { openImage } from '#puller/index.ts'
import { digestsOf } from '../../support/placed-image.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import {
  BASE,
  TOP,
  dockerArchive,
  FORMATS,
  IMAGE,
  NAME,
  newStore,
  OTHER,
  saved,
} from './archives.ts'

describe('loadImages', () => {
  for (const format of FORMATS) {
    for (const [how, pack] of [
      ['plain', (bytes: Buffer) => bytes],
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      it(`takes back what was saved, byte for byte and unpacked (${format}, ${how})`, async (t) => {
        const { store, load, images, blobs } = await newStore(t)
        const archive = pack(await saved(t, ['app:1', 'registry.example/team/other:2'], format))
        const loaded = await load(archive)
        assert.deepEqual(loaded[0], { name: NAME, digest: IMAGE.manifest.digest })
        assert.deepEqual(await images(), [
          [NAME, IMAGE.manifest.digest],
          ['registry.example/team/other:2', OTHER.manifest.digest],
        ])
        const all = new Set([...digestsOf(IMAGE), ...digestsOf(OTHER)])
        assert.deepEqual(blobs(), [...all].map((digest) => digest.slice(7)).sort())
        for (const tar of [BASE, TOP]) assert.ok(existsSync(store.layout.layer(digestOf(tar)).tree))
        assert.deepEqual(readdirSync(store.layout.staging), [])
      })
    }
  }

  it('leaves an image without a name that was saved by its digest', async (t) => {
    const { load, images } = await newStore(t)
    const loaded = await load(await saved(t, [IMAGE.manifest.digest]))
    assert.deepEqual(loaded, [{ name: undefined, digest: IMAGE.manifest.digest }])
    assert.deepEqual(await images(), [[undefined, IMAGE.manifest.digest]])
  })

  it("takes docker's archives, with layers compressed or not, and links among its files", async (t) => {
    const { store, load } = await newStore(t)
    const [plain] = await load(dockerArchive(IMAGE))
    assert.equal(plain?.name, NAME)
    const layers = [gzipSync(BASE), zstdCompressSync(TOP)]
    const [compressed] = await load(dockerArchive(IMAGE, { layers }))
    const { descriptor } = await store.find(NAME)
    assert.equal(descriptor.digest, compressed?.digest)
    const manifest = JSON.parse((await store.readSmall(descriptor)).toString())
    assert.equal(manifest.config.digest, IMAGE.config.digest)
    assert.deepEqual(
      manifest.layers.map(({ mediaType, digest }: Record<string, string>) => [mediaType, digest]),
      [
        [MEDIA_TYPE.ociLayerGzip, digestOf(layers[0] ?? '')],
        [MEDIA_TYPE.ociLayerZstd, digestOf(layers[1] ?? '')],
      ],
    )
  })

  const blob = `blobs/sha256/${IMAGE.manifest.digest.slice(7)}`
  const index = (manifests: unknown) => ({
    'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
    'index.json': JSON.stringify({ schemaVersion: 2, manifests }),
  })
  const config = (value: object) => ({ more: { 'config.json': JSON.stringify(value) } })
  const CASES: readonly (readonly [what: string, archive: Buffer, code: ErrorCode])[] = [
    ['nothing at all', Buffer.alloc(0), 'ARCHIVE_INVALID'],
    ['an empty tar', Buffer.alloc(1024), 'ARCHIVE_INVALID'],
    ['no tar', Buffer.from('x'.repeat(2000)), 'TAR_INVALID'],
    ['a root file system', tarOf({ 'etc/passwd': '' }), 'ARCHIVE_INVALID'],
    ['half of an archive', dockerArchive(IMAGE).subarray(0, 3000), 'TAR_INVALID'],
    ['half a gzip', gzipSync(dockerArchive(IMAGE)).subarray(0, 200), 'COMPRESSION_INVALID'],
    ['an archive packed with bzip2', Buffer.from('BZh91AY&SY........'), 'COMPRESSION_INVALID'],
    ['a list that is no JSON', tarOf({ 'manifest.json': '[' }), 'ARCHIVE_INVALID'],
    ['a list of nothing', tarOf({ 'manifest.json': '[]' }), 'ARCHIVE_INVALID'],
    [
      'a list of the wrong shape',
      dockerArchive(IMAGE, { list: [{ Config: 1 }] }),
      'ARCHIVE_INVALID',
    ],
    [
      'a config that is missing',
      dockerArchive(IMAGE, { without: 'config.json' }),
      'ARCHIVE_INVALID',
    ],
    [
      'a layer that is missing',
      dockerArchive(IMAGE, { without: '1/layer.tar' }),
      'ARCHIVE_INVALID',
    ],
    ['a layer too few', dockerArchive(IMAGE, { layers: [BASE] }), 'ARCHIVE_INVALID'],
    ['another layer', dockerArchive(IMAGE, { layers: [BASE, BASE] }), 'DIFF_ID_MISMATCH'],
    [
      'another layer, compressed',
      dockerArchive(IMAGE, { layers: [BASE, gzipSync(BASE)] }),
      'DIFF_ID_MISMATCH',
    ],
    ['a config of nothing', dockerArchive(IMAGE, config({})), 'IMAGE_CONFIG_INVALID'],
    [
      'a config outside',
      dockerArchive(IMAGE, { list: [{ Config: '/etc/passwd' }] }),
      'ARCHIVE_INVALID',
    ],
    [
      'a path that climbs',
      dockerArchive(IMAGE, { list: [{ Config: '../../etc/passwd' }] }),
      'ARCHIVE_INVALID',
    ],
    [
      'a name given twice',
      Buffer.concat([tarOf({ 'a/../x': '1' }).subarray(0, 1024), tarOf({ x: '2' })]),
      'ARCHIVE_INVALID',
    ],
    ['a name that is too long', tarOf({ ['n'.repeat(2000)]: '' }), 'ARCHIVE_INVALID'],
    ['an index of nothing', tarOf(index([])), 'ARCHIVE_INVALID'],
    ['an index that is no JSON', tarOf({ ...index([]), 'index.json': '{' }), 'ARCHIVE_INVALID'],
    ['an index of what is missing', tarOf(index([IMAGE.manifest])), 'ARCHIVE_INVALID'],
    [
      'a blob with other bytes',
      tarOf({ ...index([IMAGE.manifest]), [blob]: '{}' }),
      'CONTENT_MISMATCH',
    ],
    [
      'a manifest whose layers are missing',
      tarOf({
        ...index([IMAGE.manifest]),
        [blob]: IMAGE.blobs.get(IMAGE.manifest.digest) ?? '',
      }),
      'ARCHIVE_INVALID',
    ],
  ]
  for (const [what, archive, code] of CASES) {
    it(`refuses ${what}`, async (t) => {
      const { store, load, images } = await newStore(t)
      await assert.rejects(load(archive), { code })
      assert.deepEqual(await images(), [])
      assert.equal(existsSync(join(store.dir, 'blobs/sha256')), false)
      assert.deepEqual(readdirSync(store.layout.staging), [])
    })
  }

  it('refuses a layer that no container could be made of, and shows nothing of the image', async (t) => {
    const evil = smallImage([tarOf({ '../../etc/cron.d/evil': 'x' }).subarray(0, 600)])
    const { load, images } = await newStore(t)
    const files = Object.fromEntries(
      [...evil.blobs].map(([digest, bytes]) => [`blobs/${digest.replace(':', '/')}`, bytes]),
    )
    await assert.rejects(load(tarOf({ ...index([evil.manifest]), ...files })), {
      code: 'TAR_INVALID',
    })
    assert.deepEqual(await images(), [])
  })

  it('says which file or directory it cannot read', async (t) => {
    const { load } = await newStore(t)
    const xz = Buffer.from('\xfd7zXZ\0 and so on', 'latin1')
    for (const bytes of [xz, tarOf({ a: 'b' }).subarray(0, 600), gzipSync('a').subarray(0, 15)]) {
      await assert.rejects(load(bytes), { message: /^standard input: / })
      const path = join(tempDir(t), 'archive')
      writeFileSync(path, bytes)
      await assert.rejects(load(path), { message: new RegExp(`^${path}: `) })
    }
    await assert.rejects(load('/nowhere'), { code: 'USAGE', message: /\/nowhere/ })
    await assert.rejects(load(tempDir(t)), { code: 'ARCHIVE_INVALID', message: /no index\.json/ })
  })

  it('says what makes an archive of what it does not take', async (t) => {
    const { load } = await newStore(t)
    const lz4 = Buffer.from('\x04\x22\x4d\x18 and so on', 'latin1')
    await assert.rejects(load(lz4), { code: 'COMPRESSION_INVALID', message: /\(lz4 -d\)/ })
    const dir = tempDir(t)
    const manifest = IMAGE.blobs.get(IMAGE.manifest.digest) ?? ''
    writeFileSync(join(dir, 'manifest.json'), manifest)
    writeFileSync(join(dir, 'version'), 'Directory Transport Version: 1.1\n')
    const message = new RegExp(`skopeo copy dir:${dir} oci:`)
    await assert.rejects(load(dir), { code: 'ARCHIVE_INVALID', message })
  })
})

const KINDS: Readonly<Record<string, (t: TestContext) => Promise<Buffer>>> = {
  'an oci-archive': (t) => saved(t, ['app:1'], 'oci-archive'),
  'a docker-archive of ours': (t) => saved(t, ['app:1']),
  "one of docker's": async () => dockerArchive(IMAGE),
  "one of docker's with compressed layers": async () =>
    dockerArchive(IMAGE, { layers: [gzipSync(BASE), gzipSync(TOP)] }),
  'one that is compressed': async (t) => gzipSync(await saved(t, ['app:1'])),
}

describe('an archive that is a file', () => {
  for (const [kind, make] of Object.entries(KINDS)) {
    it(`gives what it gives as a stream: ${kind}`, async (t) => {
      const bytes = await make(t)
      const [streamed, read] = [await newStore(t), await newStore(t)]
      const path = join(tempDir(t), 'app.tar')
      writeFileSync(path, bytes)
      assert.deepEqual(await read.load(path), await streamed.load(bytes))
      assert.deepEqual(read.blobs(), streamed.blobs())
    })

    it(`is read from where it is: ${kind}`, async (t) => {
      const bytes = await make(t)
      const path = join(tempDir(t), 'app.tar')
      writeFileSync(path, bytes)
      const stageDir = join(tempDir(t), 'stage')
      const { source, images } = await openArchive(path, stageDir, { name: 'app:1' })
      assert.equal(images.length, 1)
      for (const blob of images[0]?.blobs ?? []) {
        const chunks = await Array.fromAsync(source.read(blob))
        assert.equal(digestOf(Buffer.concat(chunks)), blob.digest)
        const rest = await Array.fromAsync(source.read(blob, 10))
        assert.ok(Buffer.concat(rest).equals(Buffer.concat(chunks).subarray(10)))
      }
      const written = (name: string) => readdirSync(join(stageDir, name)).length
      assert.equal(written('members') === 0, !kind.includes('is compressed'))
      const layers = IMAGE.layers.filter(({ digest }) =>
        existsSync(join(stageDir, 'layout/blobs', digest.replace(':', '/'))),
      )
      assert.equal(layers.length, kind === "one of docker's" ? 2 : 0)
    })
  }

  it('is found out when it changes meanwhile', async (t) => {
    const bytes = await saved(t, ['app:1'], 'oci-archive')
    const path = join(tempDir(t), 'app.tar')
    writeFileSync(path, bytes)
    const { store } = await newStore(t)
    const { image, close } = await openImage(store, `oci-archive:${path}`)
    writeFileSync(path, Buffer.alloc(bytes.length, 'x'))
    await assert.rejects(image.source.readSmall(image.descriptor), { code: 'CONTENT_MISMATCH' })
    await assert.rejects(Array.fromAsync(readBlob(image.source, image.descriptor)), {
      code: 'CONTENT_MISMATCH',
    })
    await close()
  })
})
