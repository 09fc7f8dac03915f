import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Descriptor, describe } from '#oci/descriptor.ts'
import { digestOf } from '#oci/digest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { encodeHeader } from '#puller/tar/encode.ts'

/** An image made in memory: every blob by digest, its manifest included. */
export interface SmallImage {
  readonly manifest: Descriptor
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly blobs: ReadonlyMap<string, Buffer>
}

const FILE = { type: 'file', mode: 0o644 } as const
const DIRECTORY = { type: 'directory', mode: 0o750 } as const

/** A tar of plain files, and of directories, whose names end in a slash. */
export function tarOf(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => {
    const bytes = Buffer.from(content)
    const header = encodeHeader({
      path: Buffer.from(name),
      ...(name.endsWith('/') ? DIRECTORY : FILE),
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      size: bytes.length,
      mtime: { seconds: 1, nanoseconds: 0 },
      linkPath: undefined,
      devMajor: 0,
      devMinor: 0,
      xattrs: new Map(),
    })
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}

/** An image whose layers are these tars, compressed with gzip. `change` may spoil its parts. */
export function smallImage(
  tars: readonly Buffer[],
  change: { readonly config?: object; readonly manifest?: object } = {},
): SmallImage {
  const blobs = new Map<string, Buffer>()
  const add = (mediaType: string, bytes: Buffer) => {
    const descriptor = describe(mediaType, bytes)
    blobs.set(descriptor.digest, bytes)
    return descriptor
  }
  const document = (mediaType: string, value: object) =>
    add(mediaType, Buffer.from(JSON.stringify(value)))
  const layers = tars.map((tar) => add(MEDIA_TYPE.ociLayerGzip, gzipSync(tar)))
  const config = document(MEDIA_TYPE.ociConfig, {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/hello'] },
    rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) },
    ...change.config,
  })
  const mediaType = MEDIA_TYPE.ociManifest
  const manifest = document(mediaType, {
    schemaVersion: 2,
    mediaType,
    config,
    layers,
    ...change.manifest,
  })
  return { manifest, config, layers, blobs }
}

/** An image with the config of another one, whose layers come as these blobs. */
export function withLayers(image: SmallImage, layers: readonly Buffer[]): SmallImage {
  const mediaType = MEDIA_TYPE.ociManifest
  const named = layers.map((bytes) => describe(MEDIA_TYPE.ociLayerGzip, bytes))
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType, config: image.config, layers: named }),
  )
  const manifest = describe(mediaType, bytes)
  const blobs = new Map(image.blobs).set(manifest.digest, bytes)
  for (const [at, layer] of named.entries()) blobs.set(layer.digest, layers[at] ?? bytes)
  return { manifest, config: image.config, layers: named, blobs }
}

/** Writes an image into a new OCI image layout, under the name `latest`. */
export function writeLayout(dir: string, { manifest, blobs }: SmallImage): void {
  const json = (name: string, value: object) =>
    writeFileSync(join(dir, name), JSON.stringify(value))
  for (const [digest, bytes] of blobs) {
    const [algorithm = '', hex = ''] = digest.split(':')
    mkdirSync(join(dir, 'blobs', algorithm), { recursive: true })
    writeFileSync(join(dir, 'blobs', algorithm, hex), bytes)
  }
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' }
  json('index.json', { schemaVersion: 2, manifests: [{ ...manifest, annotations }] })
  json('oci-layout', { imageLayoutVersion: '1.0.0' })
}
