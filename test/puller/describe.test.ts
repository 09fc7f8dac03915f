import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parsePlatform } from '#oci/platform.ts'
import { describeImage, openStore } from '#puller/index.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'

const TAR = tarOf({ file: 'x' })
const IMAGE = smallImage([TAR])
const ARM = smallImage([TAR], { config: { architecture: 'arm64', variant: 'v8' } })
const ARTIFACT = smallImage([TAR], {
  manifest: {
    config: describeBytes('application/vnd.example', Buffer.from('{}')),
    annotations: { 'example.key': 'value' },
  },
})
const platform = parsePlatform('linux/amd64')

async function storeWith(t: TestContext, name: string, image: typeof IMAGE) {
  const store = await openStore(tempDir(t))
  await placeImage(store, `docker.io/library/${name}`, image)
  return store
}

describe('describeImage', () => {
  it("tells of an image in docker's words", async (t) => {
    const store = await storeWith(t, 'app:1', IMAGE)
    await store.name({ name: 'localhost/app:2', descriptor: IMAGE.manifest })
    const { digest } = IMAGE.manifest
    const facts = await describeImage(store, 'app:1', platform)
    assert.equal(facts.Id, digest)
    assert.deepEqual(facts.RepoTags, ['docker.io/library/app:1', 'localhost/app:2'])
    assert.deepEqual(facts.RepoDigests, [
      `docker.io/library/app@${digest}`,
      `localhost/app@${digest}`,
    ])
    assert.deepEqual(
      [facts.Os, facts.Architecture, facts.Platforms],
      ['linux', 'amd64', ['linux/amd64']],
    )
    assert.deepEqual(facts.Config.Cmd, ['/hello'])
    assert.deepEqual(facts.RootFS.Layers, [digestOf(TAR)])
    assert.equal(facts.Size, IMAGE.config.size + (IMAGE.layers[0]?.size ?? 0))
  })

  it('chooses the manifest of an index that fits, of those that are here', async (t) => {
    const store = await storeWith(t, 'arm:1', ARM)
    await placeImage(store, undefined, IMAGE)
    const manifests = [IMAGE.manifest, ARM.manifest, ARTIFACT.manifest]
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }))
    const descriptor = describeBytes(MEDIA_TYPE.ociIndex, bytes)
    await store.writeSmall(descriptor.digest, bytes)
    await store.name({ name: 'docker.io/library/many:1', descriptor })
    for (const [wanted, found] of [
      ['linux/arm64', ARM],
      ['linux/amd64', IMAGE],
      ['linux/s390x', IMAGE],
    ] as const) {
      const facts = await describeImage(store, 'many:1', parsePlatform(wanted))
      assert.equal(facts.ManifestDigest, found.manifest.digest)
      assert.equal(facts.ConfigDigest, found.config.digest)
      assert.deepEqual(facts.Platforms, ['linux/amd64', 'linux/arm64/v8'])
    }
  })

  it('tells of artifacts that are no container images, too', async (t) => {
    const store = await storeWith(t, 'artifact:1', ARTIFACT)
    const facts = await describeImage(store, 'artifact:1', platform)
    assert.deepEqual([facts.Os, facts.Platforms], ['', []])
    assert.deepEqual(facts.Annotations, { 'example.key': 'value' })
  })
})
