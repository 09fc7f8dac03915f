import * as z from 'zod'
import { type Descriptor, descriptorSchema, mediaTypeSchema } from './descriptor.ts'
import { DrayError } from './error.ts'
import { parseJson } from './json.ts'
import { bareMediaType, isImageManifestType, isIndexType, MEDIA_TYPE } from './media-types.ts'
import { formatPlatform, matchPlatform, type Platform } from './platform.ts'
import { absentable, check, listOf, stringMap } from './schema.ts'

/** Largest manifest that is read or taken, in bytes (distribution-spec, "Pushing Manifests": at least 4 MiB). */
export const MANIFEST_LIMIT = 4 * 1024 * 1024

/** An image or another artifact: one config and an ordered list of layers (image-spec, manifest.md). */
export interface ImageManifest {
  readonly kind: 'image'
  readonly mediaType: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly subject?: Descriptor | undefined
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

/** A list of manifests, of one image for several platforms as a rule (image-spec, image-index.md). */
export interface ImageIndex {
  readonly kind: 'index'
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly subject?: Descriptor | undefined
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

export type Manifest = ImageManifest | ImageIndex

const common = {
  schemaVersion: z.literal(2, 'only schemaVersion 2 is supported'),
  mediaType: absentable(mediaTypeSchema),
  subject: absentable(descriptorSchema),
  artifactType: absentable(z.string()),
  annotations: stringMap,
}

const imageSchema = z.object({
  ...common,
  config: descriptorSchema,
  layers: absentable(listOf(descriptorSchema)),
})

const indexSchema = z.object({ ...common, manifests: absentable(listOf(descriptorSchema)) })

/**
 * Reads a manifest or index of OCI or of Docker's schema 2. Which of the two it is follows from its fields; its
 * media type must not say otherwise, so that no two readers take one document for two images (CVE-2021-41190).
 *
 * @param contentType the `Content-Type` that it came with, if any
 * @throws MANIFEST_INVALID
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const value = parseJson(bytes, { code: 'MANIFEST_INVALID', maxBytes: MANIFEST_LIMIT })
  const kind = kindOf(value)
  const document = check(
    kind === 'image' ? imageSchema : indexSchema,
    value,
    'manifest',
    'MANIFEST_INVALID',
  )
  const mediaType = mediaTypeOf(kind, document.mediaType, contentType)
  const { subject, artifactType, annotations } = document
  const shared = { mediaType, subject, artifactType, annotations }
  return 'config' in document
    ? { kind: 'image', ...shared, config: document.config, layers: document.layers ?? [] }
    : { kind: 'index', ...shared, manifests: document.manifests ?? [] }
}

/**
 * Picks the manifest of an index that fits a platform best; the first one wins among equals. Entries without a
 * platform fit only when no entry has one and there is no choice to make.
 *
 * @throws PLATFORM_UNKNOWN naming what there is
 */
export function selectManifest(index: ImageIndex, platform: Platform): Descriptor {
  let best: Descriptor | undefined
  let bestScore = 0
  for (const descriptor of index.manifests) {
    const score =
      descriptor.platform === undefined ? 0 : matchPlatform(platform, descriptor.platform)
    if (score > bestScore) [best, bestScore] = [descriptor, score]
  }
  const [only, ...others] = index.manifests
  if (best === undefined && only?.platform === undefined && others.length === 0) best = only
  if (best !== undefined) return best
  throw new DrayError(
    'PLATFORM_UNKNOWN',
    `the image has no manifest for ${formatPlatform(platform)}: it has ${offered(index)}; choose one with --platform`,
  )
}

function offered(index: ImageIndex): string {
  const names = index.manifests
    .map(({ platform }) => platform)
    .filter((platform) => platform !== undefined && platform.os !== 'unknown')
    .map((platform) => formatPlatform(platform as Platform))
  return names.length === 0 ? 'none' : [...new Set(names)].slice(0, 20).join(', ')
}

function kindOf(value: unknown): Manifest['kind'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('not a JSON object')
  const isImage = 'config' in value || 'layers' in value
  const isIndex = 'manifests' in value
  if (isImage && isIndex) throw invalid('it has the fields of a manifest and of an index')
  if (!isImage && !isIndex) {
    if ('fsLayers' in value)
      throw invalid('Docker schema 1 is not supported: push the image again with a newer docker')
    throw invalid('it has neither config and layers nor manifests')
  }
  return isImage ? 'image' : 'index'
}

function mediaTypeOf(
  kind: Manifest['kind'],
  inside: string | undefined,
  contentType: string | undefined,
): string {
  const outside = contentType === undefined ? undefined : bareMediaType(contentType)
  if (inside !== undefined && outside !== undefined && inside !== outside) {
    throw invalid(`its mediaType is ${inside}, but it came as ${outside}`)
  }
  const fallback = kind === 'image' ? MEDIA_TYPE.ociManifest : MEDIA_TYPE.ociIndex
  const mediaType = inside ?? outside ?? fallback
  if (kind === 'image' ? isIndexType(mediaType) : isImageManifestType(mediaType)) {
    throw invalid(`its mediaType is ${mediaType}, but its fields are those of ${fallback}`)
  }
  return mediaType
}

function invalid(why: string): DrayError {
  return new DrayError('MANIFEST_INVALID', `invalid manifest: ${why}`)
}
