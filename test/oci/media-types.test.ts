import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mediaTypeSchema } from '#oci/descriptor.ts'
import {
  bareMediaType,
  isImageManifestType,
  isIndexType,
  isNonDistributable,
  MANIFEST_MEDIA_TYPES,
  MEDIA_TYPE,
} from '#oci/media-types.ts'

describe('media types', () => {
  it('are all well-formed and distinct', () => {
    const types = Object.values(MEDIA_TYPE)
    for (const type of types) assert.equal(mediaTypeSchema.safeParse(type).success, true, type)
    assert.equal(new Set(types).size, types.length)
  })

  it('of manifests are of an image or of an index, never both, and the others neither', () => {
    for (const type of Object.values(MEDIA_TYPE)) {
      const kinds = Number(isImageManifestType(type)) + Number(isIndexType(type))
      assert.equal(kinds, MANIFEST_MEDIA_TYPES.includes(type) ? 1 : 0, type)
    }
    assert.equal(isIndexType(MEDIA_TYPE.dockerManifestList), true)
    assert.equal(isImageManifestType(MEDIA_TYPE.dockerManifest), true)
  })

  it('of layers that need not be distributed are known in both dialects', () => {
    const oci = 'application/vnd.oci.image.layer.nondistributable.v1.tar'
    for (const type of [oci, `${oci}+gzip`, `${oci}+zstd`, MEDIA_TYPE.dockerForeignLayerGzip]) {
      assert.equal(isNonDistributable(type), true, type)
    }
    for (const type of [MEDIA_TYPE.ociLayerGzip, MEDIA_TYPE.dockerLayerGzip, '']) {
      assert.equal(isNonDistributable(type), false, type)
    }
  })

  it('lose case, parameters and space in a header', () => {
    assert.equal(bareMediaType('Application/JSON'), 'application/json')
    assert.equal(bareMediaType(' application/json ; charset=utf-8;x=y'), 'application/json')
    assert.equal(bareMediaType(';'), '')
    assert.equal(bareMediaType(''), '')
  })
})
