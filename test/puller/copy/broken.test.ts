import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { parseRepositoryName } from '#oci/reference.ts'
import { copyImage, parseLocation } from '#puller/index.ts'
import { openRepository } from '#puller/registry/client.ts'
import { type Meddler, type Meddling, startOpenRegistry } from '../../support/open-registry.ts'
import { smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { seed, setOf, writeLayoutOf } from './images.ts'

const MiB = 1024 * 1024
const LARGE = smallImage([tarOf({ noise: randomBytes(9 * MiB) })])
const [LAYER] = LARGE.layers

/** Meddles with the first request that fits, and then no more. */
function once(fits: RegExp, meddling: Meddling): Meddler {
  return times(1, fits, meddling)
}

function times(count: number, fits: RegExp, meddling: Meddling): Meddler {
  let left = count
  return ({ method, url }) => (fits.test(`${method} ${url}`) && left-- > 0 ? meddling : undefined)
}

function allOf(...meddlers: readonly Meddler[]): Meddler {
  return (request) => meddlers.map((meddle) => meddle(request)).find((each) => each !== undefined)
}

async function pushTo(t: TestContext, meddle: Meddler) {
  const registry = await startOpenRegistry(t, meddle)
  const dir = tempDir(t)
  writeLayoutOf(dir, setOf(LARGE))
  await copy(`oci:${dir}`, `${registry.host}/app:1`)
  await assertWhole(registry.host)
  return registry
}

function copy(from: string, to: string) {
  const openStore = async () => assert.fail('the local store was opened')
  return copyImage({ from: parseLocation(from), to: parseLocation(to), openStore })
}

async function assertWhole(host: string) {
  const repository = parseRepositoryName('app')
  const client = await openRepository({ registry: host, repository, access: 'pull' })
  assert.ok(LAYER !== undefined)
  const { body } = await client.openBlob(LAYER, undefined)
  const bytes = Buffer.concat(await Array.fromAsync(body as AsyncIterable<Buffer>))
  assert.deepEqual(bytes, LARGE.blobs.get(LAYER.digest))
}

const count = (log: readonly string[], fits: RegExp) => log.filter((line) => fits.test(line)).length
const SESSIONS = /^POST .*\/uploads\/$/

describe('an upload', () => {
  it('goes on from what the registry kept when it breaks', async (t) => {
    const lengths: number[] = []
    const cut = once(/^PATCH/, { cutAt: 5 * MiB })
    const { log } = await pushTo(t, (request) => {
      if (request.method === 'PATCH') lengths.push(Number(request.headers['content-length']))
      return cut(request)
    })
    assert.equal(lengths.length, 2)
    assert.ok((lengths[1] ?? 0) <= (lengths[0] ?? 0) - 4 * MiB, `${lengths}`)
    // One for the config, one for the layer.
    assert.equal(count(log, SESSIONS), 2)
  })

  const CUT = once
  const ANEW: Readonly<Record<string, () => Meddler>> = {
    'knows nothing of it any more': () =>
      allOf(CUT(/^PATCH/, { cutAt: 5 * MiB }), once(/^GET .*\/uploads\//, { status: 404 })),
    'says that it kept nothing': () =>
      allOf(CUT(/^PATCH/, { cutAt: 5 * MiB }), once(/^GET .*\/uploads\//, { hides: 'range' })),
    'does not want the rest': () => {
      const refused = times(2, /^PATCH/, { status: 416 })
      const cut = CUT(/^PATCH/, { cutAt: 5 * MiB })
      return (request) =>
        cut(request) ?? ('content-range' in request.headers ? refused(request) : undefined)
    },
  }
  for (const [what, meddle] of Object.entries(ANEW)) {
    it(`begins anew when the registry ${what}`, async (t) => {
      const { log } = await pushTo(t, meddle())
      assert.equal(count(log, SESSIONS), 3)
    })
  }

  const RETRIED: Readonly<Record<string, Meddler>> = {
    'the opening of the upload is answered 503': once(SESSIONS, { status: 503 }),
    'the bytes are answered 429': once(/^PATCH/, { status: 429 }),
    'the end of the upload is answered 500': once(/^PUT .*digest=/, { status: 500 }),
    'a small blob breaks': once(/^PUT .*digest=/, { cutAt: 10 }),
    'the manifest is answered 503': once(/^PUT .*\/manifests\//, { status: 503 }),
  }
  for (const [what, meddle] of Object.entries(RETRIED)) {
    it(`is tried again when ${what}`, async (t) => {
      await pushTo(t, meddle)
    })
  }

  it('does not notice that its source broke, and asks for no byte twice', async (t) => {
    const asked: (string | undefined)[] = []
    const cut = once(/^GET .*\/blobs\//, { cutAnswerAt: 3 * MiB })
    const isLayer = (url = '') => url.endsWith(`/blobs/${LAYER?.digest}`)
    const from = await startOpenRegistry(t, (request) => {
      if (request.method !== 'GET' || !isLayer(request.url)) return undefined
      asked.push(request.headers.range)
      return cut(request)
    })
    const to = await startOpenRegistry(t)
    await seed(from.host, 'app', setOf(LARGE), '1')
    await copy(`${from.host}/app:1`, `${to.host}/app:1`)
    await assertWhole(to.host)
    assert.equal(count(to.log, /^PATCH/), 1)
    assert.equal(asked.length, 2)
    assert.match(asked[1] ?? '', /^bytes=[1-9][0-9]{5,}-/)
  })

  it('gives up with the registry’s own words when it is refused', async (t) => {
    await assert.rejects(pushTo(t, times(99, SESSIONS, { status: 403 })), {
      code: 'REGISTRY_FAILED',
      message: /403/,
    })
  })
})
