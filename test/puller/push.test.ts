import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { parseReference } from '#oci/reference.ts'
import { heldElsewhere, openImage, openStore, pullImage, pushImage } from '#puller/index.ts'
import { type Meddler, startOpenRegistry } from '../support/open-registry.ts'
import { placeImage } from '../support/placed-image.ts'
import { smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { seed, setOf } from './copy/images.ts'

const BASE_TAR = tarOf({ base: 'b'.repeat(5000) })
const BASE = smallImage([BASE_TAR])
const APP = smallImage([BASE_TAR, tarOf({ app: 'a' })])
const [SHARED, OWN] = APP.layers.map(({ digest }) => digest)

/** Pushes an image whose lower layer another repository of the registry has, as the store knows. */
async function push(t: TestContext, meddle?: Meddler) {
  const { host, log } = await startOpenRegistry(t, meddle)
  await seed(host, 'team/base', setOf(BASE), '1')
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  await pullImage(store, parseReference(`${host}/team/base:1`), { unpack: false })
  await placeImage(store, `${host}/team/app:1`, APP)
  const target = parseReference(`${host}/team/app:1`)
  const signal = new AbortController().signal
  const opened = await openImage(store, `${host}/team/app:1`)
  log.length = 0
  const result = await pushImage(opened.image, target, {
    elsewhere: await heldElsewhere(store, target, signal),
  }).finally(opened.close)
  const other = await openStore(tempDir(t), { layerStore: 'dir' })
  await pullImage(other, target, { unpack: false })
  const sent = (digest = '') =>
    log.some(
      (line) => line.startsWith('PUT') && line.includes(`digest=${digest.replace(':', '%3A')}`),
    )
  const mounts = log.filter((line) => /^POST .*mount=/.test(line))
  return { result, mounts, sent }
}

describe('pushImage', () => {
  it('mounts what another repository of the registry has, and sends the rest', async (t) => {
    const { result, mounts, sent } = await push(t)
    assert.equal(mounts.length, 1)
    assert.match(
      mounts[0] ?? '',
      new RegExp(
        `^POST /v2/team/app/blobs/uploads/\\?mount=${SHARED?.replace(':', '%3A')}&from=team%2Fbase$`,
      ),
    )
    assert.deepEqual([sent(SHARED), sent(OWN)], [false, true])
    assert.ok(
      result.transferred < APP.layers.reduce((sum, { size }) => sum + size, APP.config.size),
    )
  })

  const REFUSALS: Readonly<Record<string, Meddler>> = {
    'refuses to': ({ url = '' }) => (url.includes('mount=') ? { status: 403 } : undefined),
    'does not know how to': (request) => {
      request.url = request.url?.replace(/\?mount=.*/, '')
      return undefined
    },
  }
  for (const [how, meddle] of Object.entries(REFUSALS)) {
    it(`sends a blob that the registry ${how} mount`, async (t) => {
      const { sent } = await push(t, meddle)
      assert.deepEqual([sent(SHARED), sent(OWN)], [true, true])
    })
  }
})
