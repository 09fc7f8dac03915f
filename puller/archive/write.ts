import { createHash } from 'node:crypto'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestHex, finishDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ImageManifest } from '#oci/manifest.ts'
import { isImageConfigType, isNonDistributable, MEDIA_TYPE } from '#oci/media-types.ts'
import { hostPlatform, matchPlatform } from '#oci/platform.ts'
import { familiarReference, fullName, parseReference } from '#oci/reference.ts'
import { walkImage } from '../image/walk.ts'
import type { BlobSource } from '../store/blobs.ts'
import { emptyFile, encodeHeader, paddingFor } from '../tar/encode.ts'
import { BLOCK_SIZE } from '../tar/header.ts'
import { CONTAINERD_NAME, type NamedImage, REF_NAME } from '../store/image-index.ts'

/** `docker-archive` has docker's list of images besides what `oci-archive` has, and so can be read as both. */
export const ARCHIVE_FORMATS = ['docker-archive', 'oci-archive'] as const
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number]

/** An image with every manifest of it that is there. */
export interface WholeImage extends NamedImage {
  /** Those that fit this machine come first. */
  readonly manifests: readonly ImageManifest[]
  /** Every blob, manifests included, each once. */
  readonly blobs: readonly Descriptor[]
}

/** Finds out what has to be written of an image. @throws LAYOUT_INVALID, CONTENT_MISMATCH, MANIFEST_INVALID */
export async function readWhole(source: BlobSource, image: NamedImage): Promise<WholeImage> {
  const manifests: { readonly manifest: ImageManifest; readonly fit: number }[] = []
  const blobs = new Map<Digest, Descriptor>()
  const host = hostPlatform()
  for await (const { descriptor, manifest } of walkImage(source, image.descriptor)) {
    blobs.set(descriptor.digest, descriptor)
    if (manifest.kind === 'index') continue
    const { platform } = descriptor
    const fit = platform === undefined ? 0 : matchPlatform(host, platform)
    manifests.push({ manifest, fit })
    for (const blob of [manifest.config, ...manifest.layers]) {
      const mayLack = isNonDistributable(blob.mediaType) && !(await source.has(blob))
      if (!mayLack) blobs.set(blob.digest, blob)
    }
  }
  if (manifests.length === 0) {
    const name = image.name ?? image.descriptor.digest
    throw new DrayError('LAYOUT_INVALID', `${source.dir} lacks ${name}: pull the image again`)
  }
  const best = manifests.toSorted((a, b) => b.fit - a.fit).map(({ manifest }) => manifest)
  return { ...image, manifests: best, blobs: [...blobs.values()] }
}

/**
 * An archive of images: a tar of an OCI image layout. Blobs stay as they are, each verified on the way out; the same images in
 * the same order give the same bytes.
 *
 * @throws CONTENT_MISMATCH, LAYOUT_INVALID when a blob is damaged or missing; what came until then is worth nothing
 */
export async function* writeArchive(
  source: BlobSource,
  images: readonly WholeImage[],
  format: ArchiveFormat,
): AsyncGenerator<Buffer, void, undefined> {
  const list = format === 'docker-archive' ? dockerList(images) : undefined
  yield* member('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  yield* member('index.json', JSON.stringify(indexOf(images)))
  if (list !== undefined) yield* member('manifest.json', JSON.stringify(list))
  for (const blob of blobsOf(images)) {
    yield head(pathOf(blob.digest), blob.size)
    yield* readBlob(source, blob)
    yield paddingFor(blob.size)
  }
  yield Buffer.alloc(2 * BLOCK_SIZE)
}

/** The blobs of several images, each once, in the order of their digests. */
export function blobsOf(images: readonly WholeImage[]): Descriptor[] {
  const blobs = new Map(images.flatMap((image) => image.blobs).map((blob) => [blob.digest, blob]))
  return [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

/** The bytes of a blob, which are its own if this ends without an error. @throws CONTENT_MISMATCH, LAYOUT_INVALID */
export async function* readBlob(
  source: BlobSource,
  blob: Descriptor,
): AsyncGenerator<Buffer, void, undefined> {
  if (!(await source.has(blob))) {
    throw new DrayError(
      'LAYOUT_INVALID',
      `${source.dir} lacks blob ${blob.digest}, or has it with another size: pull the image again`,
    )
  }
  const algorithm = digestAlgorithm(blob.digest)
  const hash = createHash(algorithm)
  if (blob.size > 0) {
    for await (const chunk of source.read(blob)) {
      hash.update(chunk)
      yield chunk
    }
  }
  const actual = finishDigest(algorithm, hash)
  if (actual === blob.digest) return
  throw new DrayError(
    'CONTENT_MISMATCH',
    `blob ${blob.digest} of ${source.dir} is damaged: its bytes are ${actual}`,
  )
}

function indexOf(images: readonly WholeImage[]): object {
  const manifests = images.map(({ name, descriptor }) => {
    const { mediaType, digest, size } = descriptor
    const annotations = isTagged(name) ? annotationsOf(name) : undefined
    return { mediaType, digest, size, annotations }
  })
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }
}

/** Some archives name their images by tags alone, which is no name outside of them. */
function annotationsOf(name: string): Readonly<Record<string, string>> {
  const isFull = fullName(name) === name
  return isFull ? { [CONTAINERD_NAME]: name, [REF_NAME]: name } : { [REF_NAME]: name }
}

/** Other programs take no digest for a name. */
function isTagged(name: string | undefined): name is string {
  return name !== undefined && !name.includes('@')
}

/** docker's list: an image once, with all its names. @throws USAGE for what is no container image */
function dockerList(images: readonly WholeImage[]): object[] {
  const distinct = new Map(images.map((image) => [image.descriptor.digest, image]))
  return [...distinct.values()].map(({ name, descriptor, manifests }) => {
    const manifest = manifests.find(({ config }) => isImageConfigType(config.mediaType))
    if (manifest === undefined) {
      throw new DrayError(
        'USAGE',
        `${name ?? descriptor.digest} is no container image: write it as oci-archive`,
      )
    }
    const names = images.flatMap((image) =>
      image.descriptor.digest === descriptor.digest && isTagged(image.name) ? [image.name] : [],
    )
    return {
      Config: pathOf(manifest.config.digest),
      RepoTags: names.map((each) => familiarReference(parseReference(each))),
      Layers: manifest.layers.map(({ digest }) => pathOf(digest)),
    }
  })
}

function pathOf(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`
}

function* member(path: string, text: string): Generator<Buffer> {
  const bytes = Buffer.from(text)
  yield head(path, bytes.length)
  yield bytes
  yield paddingFor(bytes.length)
}

function head(path: string, size: number): Buffer {
  return encodeHeader({ ...emptyFile(Buffer.from(path)), mode: 0o644, size })
}
