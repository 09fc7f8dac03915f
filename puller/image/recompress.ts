import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import pLimit, { type LimitFunction } from 'p-limit'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { parseImageConfig } from '#oci/image-config.ts'
import { MANIFEST_LIMIT, type ImageManifest, parseManifest } from '#oci/manifest.ts'
import { isImageConfigType, isImageLayerType, ociMediaType } from '#oci/media-types.ts'
import { naming } from '../error-in.ts'
import { compressionOf } from '../layers/compression-of.ts'
import { decompress } from '../layers/decompress.ts'
import { type BlobSource, openBlobs, writeSmallBlob } from '../store/blobs.ts'
import { type IsHeld, keepCompressed, readCompressed } from '../store/compressed.ts'
import type { Store } from '../store/store.ts'
import { settleAll } from '../transfer/settle.ts'
import { document } from './compose.ts'
import type { LayerCompression } from './compression.ts'
import type { OpenedImage } from './open-image.ts'
import type { Document } from './resolve.ts'
import { writeLayer } from './write-layer.ts'

/** How buildkit names, in an index, the manifest that an attestation is of. */
const ATTESTED = 'vnd.docker.reference.digest'

/** What annotations say of a layer's compressed bytes, and is wrong of others. */
const OF_THE_BYTES = /^(?:io\.github\.containers\.zstd-chunked\.|containerd\.io\/snapshot\/)/

export interface RecompressOptions {
  readonly compression: LayerCompression
  /** Whether layers are compressed again that have the format already. Default false. */
  readonly force?: boolean | undefined
  /** Whether the blob of a layer is where the image goes: what was compressed before needs no more than its digest then. */
  readonly isHeld?: IsHeld | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The same image with its layers compressed in another way, those of all its platforms that are here. Configs and diffIDs stay
 * what they are, manifests are of OCI then and have other digests; artifacts that are no container images are left alone. The
 * same image gives the same digest. What layers become is remembered in the local store, wherever they come from.
 *
 * @param opened is closed with the result, or when there is none
 * @throws DIFF_ID_MISMATCH, COMPRESSION_INVALID, LAYOUT_INVALID, CONTENT_MISMATCH
 */
export async function recompressImage(
  store: Store,
  opened: OpenedImage,
  options: RecompressOptions,
): Promise<OpenedImage> {
  const stage = await store.stage()
  const close = async () => {
    await stage.close()
    await opened.close()
  }
  const { source, descriptor } = opened.image
  const layoutDir = join(stage.dir, 'layout')
  const limit = pLimit(availableParallelism())
  const written = new Set<Digest>()
  try {
    const work = { ...options, store, source, stageDir: stage.dir, layoutDir, limit, written }
    const made = await recompressManifest(
      { ...work, layers: new Map(), manifests: new Map() },
      descriptor,
    )
    const image = {
      source: over(openBlobs(layoutDir), written, source),
      descriptor: { ...descriptor, ...made },
    }
    return { image, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Work extends RecompressOptions {
  readonly store: Store
  readonly source: BlobSource
  readonly layoutDir: string
  readonly stageDir: string
  readonly limit: LimitFunction
  /** By the digests of their blobs: manifests share layers. */
  readonly layers: Map<Digest, Promise<Made>>
  readonly manifests: Map<Digest, Made>
  readonly written: Set<Digest>
}

/** What stands in another's place; undefined where that stays. */
type Made = Pick<Descriptor, 'mediaType' | 'digest' | 'size'> | undefined

async function recompressManifest(work: Work, descriptor: Descriptor): Promise<Made> {
  const { digest } = descriptor
  if (!work.manifests.has(digest)) work.manifests.set(digest, await makeManifest(work, descriptor))
  return work.manifests.get(digest)
}

async function makeManifest(work: Work, descriptor: Descriptor): Promise<Made> {
  const bytes = await work.source.readSmall(descriptor)
  const manifest = parseManifest(bytes, descriptor.mediaType)
  const change =
    manifest.kind === 'image'
      ? await changeImage(work, manifest)
      : await changeIndex(work, manifest.manifests)
  if (change === undefined) return undefined
  const made = rewrite(descriptor, bytes, change)
  await writeSmallBlob(work.layoutDir, made.descriptor.digest, made.bytes)
  work.written.add(made.descriptor.digest)
  return made.descriptor
}

/** A document as JSON, whose descriptors have fields that we know, and others. */
type Raw = Readonly<Record<string, unknown>>
type RawDescriptor = Raw & Descriptor
type Change = (document: Raw) => Raw

/** Whatever else the document says, known to us or not, it goes on to say. */
function rewrite({ digest, mediaType: old }: Descriptor, bytes: Buffer, change: Change): Document {
  const value: Raw = JSON.parse(bytes.toString('utf8'))
  const mediaType = ociMediaType(old)
  const made = document(mediaType, { ...value, mediaType, ...change(value) })
  if (made.bytes.length <= MANIFEST_LIMIT) return made
  throw new DrayError('MANIFEST_INVALID', `${digest} becomes larger than ${MANIFEST_LIMIT} bytes`)
}

async function changeIndex(
  work: Work,
  children: readonly Descriptor[],
): Promise<Change | undefined> {
  const made: Made[] = []
  for (const child of children)
    made.push((await work.source.has(child)) ? await recompressManifest(work, child) : undefined)
  if (made.every((child) => child === undefined)) return undefined
  const replace = (raw: RawDescriptor, at: number) => {
    const attested = work.manifests.get(raw.annotations?.[ATTESTED] as Digest)?.digest
    const annotations = attested && { annotations: { ...raw.annotations, [ATTESTED]: attested } }
    return made[at]
      ? { ...raw, ...annotations, ...made[at], data: undefined }
      : { ...raw, ...annotations }
  }
  return ({ manifests }) => ({ manifests: (manifests as RawDescriptor[]).map(replace) })
}

async function changeImage(work: Work, manifest: ImageManifest): Promise<Change | undefined> {
  if (!isImageConfigType(manifest.config.mediaType)) return undefined
  const { rootfs } = parseImageConfig(await work.source.readSmall(manifest.config))
  const made = await settleAll(work.signal ?? new AbortController().signal, (signal) =>
    manifest.layers.map(async (layer, at) => {
      const diffId = rootfs.diff_ids[at]
      if (diffId === undefined || !isImageLayerType(layer.mediaType)) return undefined
      const again = () => recompressLayer({ ...work, signal }, layer, diffId)
      const making = work.layers.get(layer.digest) ?? work.limit(again)
      work.layers.set(layer.digest, making)
      return await making
    }),
  )
  if (made.every((layer) => layer === undefined)) return undefined
  const replace = (raw: RawDescriptor, at: number) =>
    made[at] === undefined ? ofOci(raw) : { ...ofNewBytes(raw), ...made[at] }
  return ({ config, layers }) => ({
    config: ofOci(config as RawDescriptor),
    layers: (layers as RawDescriptor[]).map(replace),
  })
}

async function recompressLayer(work: Work, layer: Descriptor, diffId: Digest): Promise<Made> {
  const { store, source, compression, force = false, isHeld, layoutDir, stageDir, signal } = work
  const { layout } = store
  const known = await readCompressed(layout, diffId, compression)
  const isLast = known?.digest === layer.digest
  if (!(await source.has(layer))) {
    // Whoever opened the image may have left it out.
    if (isLast && (await isHeld?.(layer.digest))) return undefined
    throw new DrayError(
      'LAYOUT_INVALID',
      `${source.dir} lacks blob ${layer.digest}: pull the image again`,
    )
  }
  if (!force && (await compressionOf(source.read(layer))) === compression.format) return undefined
  if (isLast) return undefined
  if (known !== undefined && (await isHeld?.(known.digest))) return known
  const tar = decompress(source.read(layer))
  const made = await naming(
    `layer ${layer.digest}`,
    writeLayer(tar, { layoutDir, stageDir, compression, signal }),
  )
  if (made.diffId !== diffId) {
    throw new DrayError(
      'DIFF_ID_MISMATCH',
      `layer ${layer.digest} unpacks to ${made.diffId}, but the image config says ${diffId}: pull the image again`,
    )
  }
  work.written.add(made.descriptor.digest)
  await keepCompressed(layout, diffId, compression, made.descriptor)
  return made.descriptor.digest === layer.digest ? undefined : made.descriptor
}

function ofOci(raw: RawDescriptor): RawDescriptor {
  return { ...raw, mediaType: ociMediaType(raw.mediaType) }
}

function ofNewBytes({ annotations = {}, ...raw }: RawDescriptor): Raw {
  const kept = Object.entries(annotations).filter(([name]) => !OF_THE_BYTES.test(name))
  const left = kept.length === 0 ? undefined : Object.fromEntries(kept)
  return { ...raw, annotations: left, data: undefined, urls: undefined }
}

/** One layout in front of another. */
function over(upper: BlobSource, written: ReadonlySet<Digest>, lower: BlobSource): BlobSource {
  const of = ({ digest }: Descriptor) => (written.has(digest) ? upper : lower)
  return {
    dir: lower.dir,
    has: (blob) => of(blob).has(blob),
    readSmall: (blob) => of(blob).readSmall(blob),
    read: (blob, start) => of(blob).read(blob, start),
  }
}
