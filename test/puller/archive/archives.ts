import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { parsePlatform } from '#oci/platform.ts'
import { loadImages, openStore, saveImages } from '#puller/index.ts'
import { placeImage } from '../../support/placed-image.ts'
import { type SmallImage, smallImage, tarOf } from '../../support/small-image.ts'
import { tempDir } from '../../support/temp-dir.ts'

export const PLATFORM = parsePlatform('linux/amd64')
export const [BASE, TOP] = [tarOf({ base: 'b'.repeat(5000) }), tarOf({ top: 't' })]
export const IMAGE = smallImage([BASE, TOP])
export const OTHER = smallImage([BASE])
export const NAME = 'docker.io/library/app:1'
export const FORMATS = ['docker-archive', 'oci-archive'] as const

export async function newStore(t: TestContext) {
  const store = await openStore(tempDir(t), { layerStore: 'dir' })
  const load = (from: string | Buffer) =>
    loadImages(store, typeof from === 'string' ? from : Readable.from([from]), {
      platform: PLATFORM,
    })
  const images = async () =>
    (await store.images()).map(({ name, descriptor }) => [name, descriptor.digest])
  const blobs = () => readdirSync(join(store.dir, 'blobs/sha256')).sort()
  return { store, load, images, blobs }
}

export async function saved(
  t: TestContext,
  wanted: readonly string[],
  format: (typeof FORMATS)[number] = 'docker-archive',
): Promise<Buffer> {
  const { store } = await newStore(t)
  await placeImage(store, NAME, IMAGE)
  await placeImage(store, 'registry.example/team/other:2', OTHER)
  const chunks: Buffer[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  await saveImages(store, wanted, sink, { format })
  return Buffer.concat(chunks)
}

/** What `docker save` wrote for twenty years. */
export function dockerArchive(
  image: SmallImage,
  change: { layers?: readonly Buffer[]; list?: unknown; without?: string; more?: object } = {},
): Buffer {
  const tars = change.layers ?? [BASE, TOP]
  const files: Record<string, Buffer> = {}
  for (const [at, tar] of tars.entries()) files[`${at}/layer.tar`] = tar
  files['config.json'] = image.blobs.get(image.config.digest) ?? Buffer.alloc(0)
  files['manifest.json'] = Buffer.from(
    JSON.stringify(
      change.list ?? [
        {
          Config: 'config.json',
          RepoTags: ['app:1'],
          Layers: tars.map((_, at) => `${at}/layer.tar`),
        },
      ],
    ),
  )
  if (change.without !== undefined) delete files[change.without]
  return tarOf({ ...files, ...change.more })
}
