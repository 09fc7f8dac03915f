import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestOf } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { IMAGE_CONFIG_LIMIT, type ImageConfig, parseImageConfig } from '#oci/image-config.ts'
import {
  type ImageManifest,
  MANIFEST_LIMIT,
  type Manifest,
  parseManifest,
  selectManifest,
} from '#oci/manifest.ts'
import { isImageConfigType } from '#oci/media-types.ts'
import type { Platform } from '#oci/platform.ts'

/** Where the documents of an image come from: a registry, a layout, or one in front of the other. */
export interface DocumentSource {
  /** A manifest, index or config, checked against its descriptor. */
  read(descriptor: Descriptor, kind: 'manifest' | 'config'): Promise<Buffer>
}

/** A document of an image, kept byte for byte. */
export interface Document {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

/** One image for one platform, with every document on the way from its name to its layers. */
export interface ResolvedImage {
  /** What the name stands for: the index if there is one, else the manifest. */
  readonly top: Descriptor
  readonly manifestDescriptor: Descriptor
  readonly manifest: ImageManifest
  /** Undefined for artifacts that are not container images. */
  readonly config: ImageConfig | undefined
  readonly documents: readonly Document[]
}

/** Indexes inside indexes are followed this far; cycles cannot be, since each is named by its digest. */
export const DEEPEST_INDEX = 4

/**
 * Follows an image from its top-level document down to its config.
 *
 * @throws PLATFORM_UNKNOWN, MANIFEST_INVALID, IMAGE_CONFIG_INVALID, and what the source throws
 */
export async function resolveImage(
  source: DocumentSource,
  top: Document,
  platform: Platform,
): Promise<ResolvedImage> {
  const documents = [top]
  let at = top
  let manifest = parseDocument(top)
  for (let depth = 0; manifest.kind === 'index'; depth++) {
    if (depth === DEEPEST_INDEX)
      throw new DrayError('MANIFEST_INVALID', 'the image is an index of an index of an index')
    const descriptor = selectManifest(manifest, platform)
    at = { descriptor, bytes: await source.read(limited(descriptor, MANIFEST_LIMIT), 'manifest') }
    manifest = parseDocument(at)
    documents.push(at)
  }
  const config = await readConfig(source, manifest, documents)
  return { top: top.descriptor, manifestDescriptor: at.descriptor, manifest, config, documents }
}

/** Describes a document that was asked for by name or digest. @throws MANIFEST_INVALID */
export function topDocument(
  bytes: Buffer,
  digest: Digest,
  contentType: string | undefined,
): Document {
  const { mediaType } = parseManifest(bytes, contentType)
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes }
}

/** Checks bytes against the descriptor that named them. @throws CONTENT_MISMATCH */
export function checkDocument(descriptor: Descriptor, bytes: Buffer): Buffer {
  const actual = digestOf(bytes, digestAlgorithm(descriptor.digest))
  if (bytes.length === descriptor.size && actual === descriptor.digest) return bytes
  throw new DrayError(
    'CONTENT_MISMATCH',
    `${descriptor.digest} should have ${descriptor.size} bytes, but ${bytes.length} came, with digest ${actual}: ` +
      'they were damaged on the way, or the registry is wrong',
  )
}

async function readConfig(
  source: DocumentSource,
  manifest: ImageManifest,
  documents: Document[],
): Promise<ImageConfig | undefined> {
  const descriptor = limited(manifest.config, IMAGE_CONFIG_LIMIT)
  const bytes = await source.read(descriptor, 'config')
  documents.push({ descriptor, bytes })
  if (!isImageConfigType(manifest.config.mediaType)) return undefined
  const config = parseImageConfig(bytes)
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new DrayError(
      'IMAGE_CONFIG_INVALID',
      `the image config names ${config.rootfs.diff_ids.length} layers, the manifest ${manifest.layers.length}`,
    )
  }
  return config
}

function parseDocument({ descriptor, bytes }: Document): Manifest {
  return parseManifest(bytes, descriptor.mediaType)
}

function limited(descriptor: Descriptor, limit: number): Descriptor {
  if (descriptor.size <= limit) return descriptor
  throw new DrayError(
    'MANIFEST_INVALID',
    `${descriptor.digest} has ${descriptor.size} bytes: at most ${limit} are read`,
  )
}
