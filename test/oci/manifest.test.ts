import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { digestOf } from '#oci/digest.ts'
import {
  type ImageIndex,
  MANIFEST_LIMIT,
  type Manifest,
  parseManifest,
  selectManifest,
} from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parsePlatform } from '#oci/platform.ts'
import { bytesOf, layer, ociIndex, ociManifest } from './fixtures.ts'

const parse = (value: unknown, contentType?: string) => parseManifest(bytesOf(value), contentType)
const refuses = (value: unknown, contentType?: string) =>
  assert.throws(() => parse(value, contentType), { code: 'MANIFEST_INVALID' })

/** One that went on reading would count the mistakes. */
const refusesAtOnce = (value: unknown) =>
  assert.throws(() => parse(value), {
    code: 'MANIFEST_INVALID',
    message: /^(?!.*\(and [0-9]{2,} more\))/,
  })

const DOCKER_MANIFEST = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPE.dockerManifest,
  config: { ...layer('config'), mediaType: MEDIA_TYPE.dockerConfig },
  layers: [{ ...layer('layer'), mediaType: MEDIA_TYPE.dockerLayerGzip }],
}

describe('parseManifest', () => {
  it('reads an OCI manifest', () => {
    const manifest = asImage(parse(ociManifest({ annotations: { a: 'b' } })))
    assert.equal(manifest.mediaType, MEDIA_TYPE.ociManifest)
    assert.equal(manifest.config.digest, digestOf('{}'))
    assert.deepEqual(
      manifest.layers.map(({ digest }) => digest),
      [digestOf('one'), digestOf('two')],
    )
    assert.deepEqual({ ...manifest.annotations }, { a: 'b' })
  })

  it("reads a manifest of Docker's schema 2", () => {
    const manifest = asImage(parse(DOCKER_MANIFEST, MEDIA_TYPE.dockerManifest))
    assert.equal(manifest.mediaType, MEDIA_TYPE.dockerManifest)
    assert.equal(manifest.layers[0]?.mediaType, MEDIA_TYPE.dockerLayerGzip)
  })

  it('reads an OCI index and a Docker manifest list', () => {
    const platform = { os: 'linux', architecture: 'arm64', variant: 'v8', 'os.features': ['x'] }
    for (const mediaType of [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerManifestList]) {
      const index = asIndex(parse(ociIndex([platform], { mediaType }), mediaType))
      assert.equal(index.mediaType, mediaType)
      assert.deepEqual({ ...index.manifests[0]?.platform }, platform)
    }
  })

  it('reads subject and artifactType', () => {
    const subject = { ...layer('subject'), mediaType: MEDIA_TYPE.ociManifest }
    for (const document of [ociManifest(), ociIndex([])]) {
      const manifest = parse({ ...document, subject, artifactType: 'application/x' })
      assert.equal(manifest.subject?.digest, subject.digest)
      assert.equal(manifest.artifactType, 'application/x')
    }
  })

  it('takes null for what is absent, as Go programs write it', () => {
    const nulls = { annotations: null, subject: null, artifactType: null, mediaType: null }
    const manifest = asImage(parse(ociManifest({ ...nulls, layers: null })))
    assert.deepEqual(manifest.layers, [])
    assert.equal(manifest.annotations, undefined)
    assert.equal(manifest.subject, undefined)
    assert.deepEqual(asIndex(parse(ociIndex([], { ...nulls, manifests: null }))).manifests, [])
    const config = { ...layer('x'), urls: null, annotations: null, data: null, platform: null }
    assert.equal(asImage(parse(ociManifest({ config }))).config.urls, undefined)
  })

  it('tells the media type by the fields and the Content-Type when the document has none', () => {
    const image = { ...ociManifest(), mediaType: undefined }
    const index = { ...ociIndex([]), mediaType: undefined }
    assert.equal(parse(image).mediaType, MEDIA_TYPE.ociManifest)
    assert.equal(parse(index).mediaType, MEDIA_TYPE.ociIndex)
    assert.equal(parse(image, MEDIA_TYPE.dockerManifest).mediaType, MEDIA_TYPE.dockerManifest)
    assert.equal(parse(image, 'application/json').mediaType, 'application/json')
  })

  it('takes a Content-Type with parameters and in capitals', () => {
    const contentType = `${MEDIA_TYPE.ociManifest.toUpperCase()} ; charset=utf-8`
    assert.equal(parse(ociManifest(), contentType).mediaType, MEDIA_TYPE.ociManifest)
  })

  it('ignores fields that it does not know', () => {
    assert.equal(parse(ociManifest({ signatures: [1], extra: { deep: [] } })).kind, 'image')
  })

  describe('refuses documents that two readers could take for two images (CVE-2021-41190)', () => {
    it('with the fields of both kinds', () => {
      refuses({ ...ociManifest(), manifests: [] })
      refuses({ ...ociIndex([]), layers: [] })
      refuses({ ...ociIndex([]), config: layer('x') })
      refuses({ ...ociManifest(), mediaType: undefined, manifests: null })
    })

    it('with a media type of the other kind, inside', () => {
      refuses(ociManifest({ mediaType: MEDIA_TYPE.ociIndex }))
      refuses(ociManifest({ mediaType: MEDIA_TYPE.dockerManifestList }))
      refuses(ociIndex([], { mediaType: MEDIA_TYPE.ociManifest }))
      refuses(ociIndex([], { mediaType: MEDIA_TYPE.dockerManifest }))
    })

    it('with a media type of the other kind, in Content-Type', () => {
      refuses({ ...ociManifest(), mediaType: undefined }, MEDIA_TYPE.ociIndex)
      refuses({ ...ociIndex([]), mediaType: undefined }, MEDIA_TYPE.dockerManifest)
    })

    it('with two media types that differ', () => {
      refuses(ociManifest(), MEDIA_TYPE.dockerManifest)
      refuses(ociManifest(), MEDIA_TYPE.ociIndex)
      refuses(ociIndex([]), MEDIA_TYPE.dockerManifestList)
      refuses(ociManifest(), 'application/json')
    })

    it('with a name that occurs twice', () => {
      const text = JSON.stringify(ociManifest())
      refuses(text.replace('{', `{"layers":[${JSON.stringify(layer('other'))}],`))
      refuses(text.replace('{', '{"\\u006cayers":[],'))
    })
  })

  it('refuses what is no manifest', () => {
    for (const value of ['', '[]', 'null', '1', '"x"', '{}', { schemaVersion: 2 }]) refuses(value)
    refuses({ ...ociManifest(), config: undefined })
    refuses({ ...ociManifest(), config: null })
    refuses({ ...ociManifest(), layers: {} })
    refuses({ ...ociManifest(), layers: [null] })
    refuses({ ...ociManifest(), annotations: { a: 1 } })
    refuses({ ...ociManifest(), subject: {} })
    refuses({ ...ociManifest(), mediaType: 'no media type' })
  })

  it('refuses other schema versions', () => {
    for (const schemaVersion of [1, 3, '2', null, undefined])
      refuses(ociManifest({ schemaVersion }))
    refuses({ schemaVersion: 1, name: 'x', tag: 'y', fsLayers: [], history: [] })
  })

  it('refuses sizes that are no whole number of bytes', () => {
    for (const size of [-1, 1.5, 2 ** 53, 1e300, '1', null, undefined, true]) {
      refuses(ociManifest({ layers: [{ ...layer('x'), size }] }))
    }
    const raw = JSON.stringify(ociManifest({ layers: [{ ...layer('x'), size: 7777 }] }))
    refuses(raw.replace('7777', '1e999'))
    refuses(raw.replace('7777', '-0.5'))
    for (const size of [0, 2 ** 53 - 1]) {
      const manifest = asImage(parse(ociManifest({ layers: [{ ...layer('x'), size }] })))
      assert.equal(manifest.layers[0]?.size, size)
    }
  })

  it('refuses digests and media types that are malformed', () => {
    for (const digest of ['', 'sha256:00', 'md5:d41d8cd98f00b204e9800998ecf8427e', 5, null]) {
      refuses(ociManifest({ layers: [{ ...layer('x'), digest }] }))
    }
    for (const mediaType of ['', 'x', 'a/b/c', 'a/b; c=d', `a/${'b'.repeat(128)}`, 'a/b\n', null]) {
      refuses(ociManifest({ layers: [{ ...layer('x'), mediaType }] }))
    }
  })

  it('names the field that is wrong, without a copy of the document', () => {
    const layers = [layer('x'), { ...layer('y'), size: -1 }]
    assert.throws(
      () => parse(ociManifest({ layers, annotations: { a: 'x'.repeat(100_000) } })),
      (error: Error) => /layers\.1\.size/.test(error.message) && error.message.length < 300,
    )
  })

  it('reads a manifest of the largest size, and refuses one that is a byte larger', () => {
    const empty = JSON.stringify(ociManifest({ annotations: { a: '' } })).length
    const sized = (size: number) => ociManifest({ annotations: { a: 'x'.repeat(size - empty) } })
    assert.equal(parse(sized(MANIFEST_LIMIT)).kind, 'image')
    refuses(sized(MANIFEST_LIMIT + 1))
  })

  it('reads as many descriptors as fit', { timeout: 60_000 }, () => {
    const digest = digestOf('x')
    const small = { mediaType: 'a/b', digest, size: 1 }
    const fits = Math.floor(MANIFEST_LIMIT / (JSON.stringify(small).length + 1)) - 10
    assert.equal(
      asImage(parse(ociManifest({ layers: Array(fits).fill(small) }))).layers.length,
      fits,
    )
  })

  it('stops reading a document full of mistakes at the first', { timeout: 60_000 }, () => {
    for (const wrong of [0, {}, [], null, { size: -1 }]) {
      const layers = Array(Math.floor(4_000_000 / (JSON.stringify(wrong).length + 1))).fill(wrong)
      refusesAtOnce(ociManifest({ layers }))
      refusesAtOnce({ ...ociIndex([]), manifests: layers })
    }
    const annotations = Object.fromEntries(Array.from({ length: 300_000 }, (_, n) => [`${n}`, 0]))
    refusesAtOnce(ociManifest({ annotations }))
  })

  it('throws nothing but its own error, whatever the JSON', () => {
    const names = fc.constantFrom(...Object.keys(ociManifest()), 'manifests', 'subject', 'size')
    const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constant([layer('x')]))
    fc.assert(
      fc.property(fc.dictionary(names, value), (document) => {
        try {
          parse({ schemaVersion: 2, ...document })
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'MANIFEST_INVALID')
        }
      }),
      { numRuns: 1000 },
    )
  })
})

/** Platforms of an index, the one that is wanted, and the place of the one that is picked. */
const SELECTIONS: readonly (readonly [
  readonly (string | undefined)[],
  string,
  number | undefined,
])[] = [
  [['linux/amd64', 'linux/arm64'], 'linux/amd64', 0],
  [['linux/amd64', 'linux/arm64'], 'linux/arm64', 1],
  [['linux/amd64', 'linux/arm64'], 'linux/s390x', undefined],
  [['windows/amd64', 'linux/amd64'], 'linux/amd64', 1],
  [['windows/amd64'], 'linux/amd64', undefined],
  [['linux/amd64', 'linux/amd64'], 'linux/amd64', 0],
  [['linux/arm64/v8'], 'linux/arm64', 0],
  [['linux/arm64'], 'linux/arm64/v8', 0],
  [['linux/amd64/v1'], 'linux/amd64', 0],
  [['linux/amd64/v3', 'linux/amd64'], 'linux/amd64', 1],
  [['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7', 2],
  [['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v6', 1],
  [['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v7', 1],
  [['linux/arm/v6', 'linux/arm/v5'], 'linux/arm/v7', 0],
  [['linux/arm/v7'], 'linux/arm/v6', undefined],
  [['linux/arm'], 'linux/arm/v7', 0],
  [['linux/arm/v6'], 'linux/arm', 0],
  [['linux/arm/v8'], 'linux/arm64', undefined],
  [['linux/arm/vX'], 'linux/arm/v7', undefined],
  [['linux/amd64', 'unknown/unknown'], 'linux/amd64', 0],
  [['unknown/unknown', 'linux/amd64'], 'linux/amd64', 1],
  [[undefined], 'linux/amd64', 0],
  [[undefined, undefined], 'linux/amd64', undefined],
  [[undefined, 'linux/amd64'], 'linux/amd64', 1],
  [[undefined, 'linux/arm64'], 'linux/amd64', undefined],
  [[], 'linux/amd64', undefined],
]

describe('selectManifest', () => {
  for (const [offered, wanted, expected] of SELECTIONS) {
    const names = offered.map((name) => name ?? 'no platform').join(', ') || 'nothing'
    it(`picks ${expected ?? 'none'} of ${names} for ${wanted}`, () => {
      const index = asIndex(
        parse(
          ociIndex(offered.map((name) => (name === undefined ? name : { ...parsePlatform(name) }))),
        ),
      )
      const select = () => selectManifest(index, parsePlatform(wanted))
      if (expected === undefined) assert.throws(select, { code: 'PLATFORM_UNKNOWN' })
      else assert.equal(select().digest, digestOf(`manifest ${expected}`))
    })
  }

  it('says what there is, shortly, when nothing fits', () => {
    const many = Array.from({ length: 5000 }, (_, n) => ({ os: 'linux', architecture: `a${n}` }))
    assert.throws(
      () => selectManifest(asIndex(parse(ociIndex(many))), parsePlatform('linux/amd64')),
      (error: Error) => error.message.includes('linux/a0') && error.message.length < 1000,
    )
  })
})

function asImage(manifest: Manifest) {
  assert.ok(manifest.kind === 'image')
  return manifest
}

function asIndex(manifest: Manifest): ImageIndex {
  assert.ok(manifest.kind === 'index')
  return manifest
}
