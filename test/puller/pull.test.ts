import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe as describeBytes } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import type { ErrorCode } from '#oci/error.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { parsePlatform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import {
  listImages,
  openStore,
  type ProgressEvent,
  prepareRootfs,
  pullImage,
} from '#puller/index.ts'
import { serveImage, type Spoiled } from '../support/blob-server.ts'
import { type SmallImage, smallImage, tarOf } from '../support/small-image.ts'
import { tempDir } from '../support/temp-dir.ts'
import { visible } from '../support/visible.ts'

const PLATFORM = parsePlatform('linux/amd64')
const LOWER = tarOf({ hello: 'lower', 'dir/one': '1' })
const UPPER = tarOf({ hello: 'upper', 'dir/two': '2' })
const IMAGE = smallImage([LOWER, UPPER])

async function setUp(
  t: TestContext,
  image: SmallImage,
  spoiled: Readonly<Record<string, Spoiled>> = {},
) {
  const server = await serveImage(t, image, spoiled)
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  const reference = parseReference(`${server.host}/team/app:1`)
  const pull = (onProgress?: (event: ProgressEvent) => void) =>
    pullImage(store, reference, { platform: PLATFORM, onProgress })
  return { server, store, reference, pull }
}

describe('pullImage', () => {
  it('makes an image of which every blob is in the layout and every layer unpacked', async (t) => {
    const { store, reference, pull } = await setUp(t, IMAGE)
    const result = await pull()
    assert.equal(result.digest, IMAGE.manifest.digest)
    assert.equal(
      result.transferred,
      IMAGE.layers.reduce((sum, { size }) => sum + size, 0),
    )
    for (const [digest, bytes] of IMAGE.blobs) {
      assert.deepEqual(readFileSync(join(store.dir, 'blobs', digest.replace(':', '/'))), bytes)
    }
    const { lowerDirs, config } = await prepareRootfs(store, reference, { platform: PLATFORM })
    assert.deepEqual(
      lowerDirs.slice(0, 2).map((dir) => readFileSync(join(dir, 'hello'), 'utf8')),
      ['lower', 'upper'],
    )
    assert.deepEqual(config.config?.Cmd, ['/hello'])
    assert.deepEqual(readdirSync(store.layout.staging), [])
    assert.deepEqual(readdirSync(join(store.layout.root, 'ingest')), [])
  })

  it('keeps layers without unpacking them, which is done when they are run', async (t) => {
    const { store, reference } = await setUp(t, IMAGE)
    await pullImage(store, reference, { platform: PLATFORM, unpack: false })
    assert.ok(visible(store).every((path) => path.startsWith('content/blobs/')))
    assert.equal(visible(store).length, IMAGE.blobs.size)
    const { lowerDirs } = await prepareRootfs(store, reference, { platform: PLATFORM })
    assert.equal(readFileSync(join(lowerDirs[1] ?? '', 'hello'), 'utf8'), 'upper')
  })

  it('fetches again what an earlier pull left, if that was lost with the power', async (t) => {
    const { store, pull } = await setUp(t, IMAGE)
    const [layer] = IMAGE.layers
    assert.ok(layer !== undefined)
    const { dir, data, ranges } = store.layout.ingest(layer.digest)
    mkdirSync(dir, { recursive: true })
    writeFileSync(data, Buffer.alloc(layer.size))
    writeFileSync(ranges, `0 ${layer.size - 1}\n`)
    await pull()
    assert.deepEqual(readFileSync(store.pathOf(layer)), IMAGE.blobs.get(layer.digest))
    assert.deepEqual(readdirSync(store.layout.ingests), [])
    assert.deepEqual(readdirSync(store.layout.staging), [])
  })

  it('removes what a pull left that was killed right after it moved a blob into place', async (t) => {
    const { store, pull } = await setUp(t, IMAGE)
    await pull()
    const { dir, ranges } = store.layout.ingest(IMAGE.layers[0]?.digest ?? IMAGE.manifest.digest)
    mkdirSync(dir, { recursive: true })
    writeFileSync(ranges, '0 10\n')
    assert.equal((await pull()).transferred, 0)
    assert.deepEqual(readdirSync(store.layout.ingests), [])
  })

  it('fetches documents again that are damaged in the store, and lists other images meanwhile', async (t) => {
    const { server, store, pull } = await setUp(t, IMAGE)
    const { name } = await pull()
    await store.name({ name: 'localhost/team/other:1', descriptor: IMAGE.manifest })
    for (const document of [IMAGE.manifest, IMAGE.config]) {
      writeFileSync(store.pathOf(document), Buffer.alloc(document.size))
      assert.deepEqual(
        (await listImages(store)).map((image) => image.name),
        [name, 'localhost/team/other:1'],
      )
      await assert.rejects(prepareRootfs(store, name, { platform: PLATFORM }), {
        code: 'CONTENT_MISMATCH',
        message: /dray system check --repair/,
      })
      const before = server.requests.length
      await pull()
      assert.equal(server.requests.slice(before).filter(({ method }) => method === 'GET').length, 1)
      await prepareRootfs(store, name, { platform: PLATFORM })
    }
  })

  it('unpacks a layer again that has lost its record, or its tree', async (t) => {
    const { store, pull } = await setUp(t, IMAGE)
    const { name } = await pull()
    const { dir, record } = store.layout.layer(digestOf(LOWER))
    const run = () => prepareRootfs(store, name, { platform: PLATFORM })
    for (const lost of [record, dir]) {
      for (const mend of [pull, run]) {
        rmSync(lost, { recursive: true })
        await mend()
        const { lowerDirs } = await run()
        assert.equal(readFileSync(join(lowerDirs[0] ?? '', 'hello'), 'utf8'), 'lower')
        assert.deepEqual(readdirSync(store.layout.staging), [])
      }
    }
  })

  it('says what to do about a layer that is damaged in the store and must be unpacked again', async (t) => {
    const { store, pull } = await setUp(t, IMAGE)
    const { name } = await pull()
    const [layer] = IMAGE.layers
    assert.ok(layer !== undefined)
    writeFileSync(store.pathOf(layer), Buffer.alloc(layer.size))
    rmSync(store.layout.layer(digestOf(LOWER)).dir, { recursive: true })
    const wanted = { code: 'CONTENT_MISMATCH', message: /local store .*dray system check --repair/ }
    await assert.rejects(pull(), wanted)
    await assert.rejects(prepareRootfs(store, name, { platform: PLATFORM }), wanted)
  })

  it('asks for a new image at once, and for one that is there only which it is by now', async (t) => {
    const { server, pull } = await setUp(t, IMAGE)
    await pull()
    const asked = () => server.requests.filter(({ url }) => /\/(?:manifests|blobs)\//.test(url))
    const first = asked()
    assert.ok(first.every(({ method }) => method === 'GET'))
    assert.equal((await pull()).transferred, 0)
    const second = asked().slice(first.length)
    assert.deepEqual(
      second.map(({ method }) => method),
      ['HEAD'],
    )
  })

  it('asks for the bigger layers before the smaller ones', async (t) => {
    const sizes = [2000, 20_000, 90_000, 40_000, 50_000, 30_000]
    const image = smallImage(sizes.map((size) => tarOf({ noise: randomBytes(size) })))
    const { server, store, reference } = await setUp(t, image)
    await pullImage(store, reference, { platform: PLATFORM, maxConnections: 1 })
    const asked = server.requests.flatMap(({ method, url }) =>
      method === 'GET' ? image.layers.filter(({ digest }) => url.endsWith(digest)) : [],
    )
    const bigFirst = image.layers.toSorted((a, b) => b.size - a.size)
    assert.deepEqual(
      asked.map(({ digest }) => digest),
      bigFirst.map(({ digest }) => digest),
    )
  })

  it('fetches a layer that two images share once', async (t) => {
    const { store, pull } = await setUp(t, IMAGE)
    await pull()
    const other = smallImage([LOWER, tarOf({ other: '' })])
    const server = await serveImage(t, other)
    await pullImage(store, parseReference(`${server.host}/other`), { platform: PLATFORM })
    assert.equal(server.gets(other.layers[0]?.digest ?? ''), 0)
    assert.equal(server.gets(other.layers[1]?.digest ?? ''), 1)
  })

  it('transfers a layer once when two pulls want it at once', async (t) => {
    const { server, store, pull } = await setUp(t, IMAGE)
    const [first, second] = await Promise.all([pull(), pull()])
    assert.equal(first.digest, second.digest)
    for (const { digest } of IMAGE.layers) assert.equal(server.gets(digest), 1)
    assert.equal((await store.images()).length, 1)
  })

  it('tells how far it is: what it is, each layer to its end, then that it saves', async (t) => {
    const { pull } = await setUp(t, IMAGE)
    const events: ProgressEvent[] = []
    await pull((event) => events.push(event))
    assert.equal(events[0]?.type, 'resolved')
    assert.equal(events.at(-1)?.type, 'saving')
    for (const { digest, size } of IMAGE.layers) {
      const states = events.filter((event) => event.type === 'blob' && event.digest === digest)
      assert.deepEqual(states.at(-1), {
        type: 'blob',
        digest,
        kind: 'layer',
        state: 'done',
        bytes: size,
        total: size,
      })
    }
  })

  it('pulls an image that has a layer twice', async (t) => {
    const plain = tarOf({ a: 'plain' })
    const image = smallImage([plain, plain, UPPER, tarOf({})])
    const { pull } = await setUp(t, image)
    assert.equal((await pull()).digest, image.manifest.digest)
  })

  const layer = IMAGE.layers[1]
  const layerDigest = layer?.digest ?? ''
  const flipped = Buffer.from(IMAGE.blobs.get(layerDigest) ?? '')
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 5) ^ 1, flipped.length - 5)
  const sameSize = gzipSync(UPPER, { level: 0 }).subarray(0, layer?.size)
  const BAD: readonly {
    title: string
    code: ErrorCode
    image?: SmallImage
    spoiled?: Record<string, Spoiled>
  }[] = [
    {
      title: 'a layer with a flipped bit',
      code: 'CONTENT_MISMATCH',
      spoiled: { [layerDigest]: { bytes: flipped } },
    },
    {
      title: 'another layer of the same size',
      code: 'CONTENT_MISMATCH',
      spoiled: { [layerDigest]: { bytes: sameSize } },
    },
    {
      title: 'a longer layer',
      code: 'CONTENT_MISMATCH',
      spoiled: {
        [layerDigest]: {
          bytes: Buffer.concat([IMAGE.blobs.get(layerDigest) ?? flipped, Buffer.alloc(1)]),
        },
      },
    },
    {
      title: 'a manifest that is not the one of its digest',
      code: 'CONTENT_MISMATCH',
      spoiled: { [IMAGE.manifest.digest]: { bytes: Buffer.from('{"schemaVersion":2}') } },
    },
    {
      title: 'a config that is not the one of its digest',
      code: 'CONTENT_MISMATCH',
      spoiled: { [IMAGE.config.digest]: { bytes: Buffer.alloc(IMAGE.config.size, 0x20) } },
    },
    {
      title: 'a layer that does not unpack to its diffID',
      code: 'DIFF_ID_MISMATCH',
      image: smallImage([LOWER, UPPER], {
        config: {
          rootfs: {
            type: 'layers',
            diff_ids: [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`],
          },
        },
      }),
    },
    {
      title: 'a config that counts other layers',
      code: 'IMAGE_CONFIG_INVALID',
      image: smallImage([LOWER], { config: { rootfs: { type: 'layers', diff_ids: [] } } }),
    },
    {
      title: 'a layer that is no tar',
      code: 'TAR_INVALID',
      image: smallImage([Buffer.alloc(2048, 0x61)]),
    },
    {
      title: 'a layer that is cut off inside',
      code: 'TAR_INVALID',
      image: smallImage([LOWER.subarray(0, 600)]),
    },
  ]
  for (const { title, code, image = IMAGE, spoiled = {} } of BAD) {
    it(`refuses ${title}, and leaves nothing of it`, async (t) => {
      const { store, pull } = await setUp(t, image, spoiled)
      const named = code === 'TAR_INVALID' ? image.layers[0]?.digest : undefined
      await assert.rejects(pull(), { code, message: new RegExp(named ?? '') })
      assert.deepEqual(visible(store), [])
      assert.deepEqual(await store.images(), [])
      assert.deepEqual(globSync('{staging,ingest}/*', { cwd: store.layout.root }), [])
    })
  }

  it('pulls rightly after a pull that got damaged bytes', async (t) => {
    const { store, pull } = await setUp(t, IMAGE, { [layerDigest]: { bytes: flipped } })
    await assert.rejects(pull(), { code: 'CONTENT_MISMATCH' })
    const server = await serveImage(t, IMAGE)
    const again = await pullImage(store, parseReference(`${server.host}/team/app:1`), {
      platform: PLATFORM,
    })
    assert.equal(again.digest, IMAGE.manifest.digest)
  })

  it('stops when it is aborted, and leaves nothing visible', async (t) => {
    const { store, reference } = await setUp(t, IMAGE)
    const stop = new AbortController()
    const pulling = pullImage(store, reference, {
      platform: PLATFORM,
      signal: stop.signal,
      onProgress: (event) => event.type === 'resolved' && stop.abort(new Error('enough')),
    })
    await assert.rejects(pulling, /enough|aborted/)
    assert.deepEqual(visible(store), [])
  })

  it('takes the manifest of the platform out of an index, or says which platforms there are', async (t) => {
    const { index, blobs } = indexOf(IMAGE)
    const server = await serveImage(t, { ...IMAGE, manifest: index, blobs })
    const store = await openStore(tempDir(t), { layerStore: 'dir' })
    const reference = parseReference(`${server.host}/multi`)
    const result = await pullImage(store, reference, { platform: PLATFORM })
    assert.deepEqual([result.digest, result.manifestDigest], [index.digest, IMAGE.manifest.digest])
    await assert.rejects(pullImage(store, reference, { platform: parsePlatform('linux/arm64') }), {
      code: 'PLATFORM_UNKNOWN',
      message: /linux\/amd64/,
    })
  })

  const ARM64 = smallImage([LOWER], { config: { architecture: 'arm64' } })
  const FOREIGN = [
    { what: 'an image for what was asked', platform: 'linux/arm64', warns: 0, runs: true },
    { what: 'an image for another platform', platform: 'linux/amd64', warns: 1, runs: false },
    { what: 'an image when nothing was asked', platform: undefined, warns: 0, runs: true },
    {
      what: 'what an index calls so',
      platform: 'linux/amd64',
      isListed: true,
      warns: 1,
      runs: true,
    },
  ]
  for (const { what, platform, isListed = false, warns, runs } of FOREIGN) {
    it(`takes ${what} with ${warns} warnings, and ${runs ? 'runs it' : 'does not run it so'}`, async (t) => {
      const { index, blobs } = indexOf(ARM64)
      const listed = isListed ? { ...ARM64, manifest: index, blobs } : ARM64
      const { store, reference } = await setUp(t, listed)
      const asked = platform === undefined ? {} : { platform: parsePlatform(platform) }
      const warnings: string[] = []
      const onProgress = (event: ProgressEvent) => {
        if (event.type === 'warning') warnings.push(event.message)
      }
      await pullImage(store, reference, { ...asked, onProgress })
      assert.equal(warnings.length, warns)
      for (const warning of warnings)
        assert.match(warning, /1 is for linux\/arm64, not for linux\/amd64/)
      const preparing = prepareRootfs(store, reference, asked)
      if (runs) assert.equal((await preparing).config.architecture, 'arm64')
      else await assert.rejects(preparing, { code: 'PLATFORM_UNKNOWN', message: /--pull always/ })
    })
  }

  it('takes layers compressed with zstd', async (t) => {
    const bytes = zstdCompressSync(UPPER)
    const layer = describeBytes(MEDIA_TYPE.ociLayerZstd, bytes)
    const image = smallImage([UPPER], { manifest: { layers: [layer] } })
    const { pull } = await setUp(t, {
      ...image,
      blobs: new Map([...image.blobs, [layer.digest as string, bytes]]),
    })
    assert.equal((await pull()).transferred, bytes.length)
  })
})

/** An index that has an image for one platform. */
function indexOf(image: SmallImage) {
  const entry = { ...image.manifest, platform: PLATFORM }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
  const index = describeBytes(MEDIA_TYPE.ociIndex, bytes)
  return { index, blobs: new Map([...image.blobs, [index.digest as string, bytes]]) }
}
