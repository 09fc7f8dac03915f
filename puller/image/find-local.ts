import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestHex, isDigest } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import { formatReference, isImageId, tryParseReference, withDefaultTag } from '#oci/reference.ts'
import type { BlobSource } from '../store/blobs.ts'
import type { NamedImage } from '../store/image-index.ts'
import { type FoundManifest, walkImage } from './walk.ts'

/** An image of the local store, as it was asked for. */
export interface FoundImage {
  /** What it is by; where several images have the manifest that was asked for, that. */
  readonly descriptor: Descriptor
  /** The name it was found by; undefined when it was asked for by its digest. */
  readonly name: string | undefined
  /** All its names. */
  readonly names: readonly string[]
  /** The manifest that was asked for, by its digest or that of its config: for one platform, where the image has several. */
  readonly manifest: Descriptor | undefined
}

/**
 * Finds an image by its name; by its digest, that of the manifest for one platform, or that of a config (which docker and podman
 * call the image's id), whole, also without `sha256:`, or, but for the last, after a name; or by the first digits of one of them,
 * in this order.
 *
 * @throws IMAGE_UNKNOWN; USAGE when several images fit
 */
export async function findLocal(
  source: BlobSource,
  images: readonly NamedImage[],
  text: string,
): Promise<FoundImage> {
  const named = isImageId(text) ? undefined : await byReference(source, images, text)
  const found = named ?? (await byDigits(source, images, text))
  if (found === undefined) {
    throw new DrayError(
      'IMAGE_UNKNOWN',
      `no image ${JSON.stringify(text)} in the local store: dray images lists them`,
    )
  }
  const { digest } = found.descriptor
  const same = images.filter(({ descriptor }) => descriptor.digest === digest)
  const names = same.flatMap(({ name }) => (name === undefined ? [] : [name]))
  return { ...found, names }
}

async function byReference(
  source: BlobSource,
  images: readonly NamedImage[],
  text: string,
): Promise<Fit | undefined> {
  const reference = tryParseReference(text)
  if (reference === undefined) return undefined
  const name = formatReference(withDefaultTag(reference))
  const { digest, repository, registry } = reference
  const named = images.find((image) => image.name === name)
  if (named !== undefined) return { ...named, manifest: undefined }
  if (digest === undefined) return undefined
  const full = formatReference({ registry, repository })
  const ofRepository = images.filter((image) => repositoryOf(image.name) === full)
  return await byDigits(source, ofRepository, digest, isManifest)
}

type Fit = Pick<FoundImage, 'descriptor' | 'name' | 'manifest'>

/** Whether a manifest is meant by what its digest, or that of its config, begins with. */
type IsMeant = (found: FoundManifest, start: string) => boolean

const isManifest: IsMeant = ({ descriptor }, start) => descriptor.digest.startsWith(start)

const isManifestOrConfig: IsMeant = (found, start) =>
  isManifest(found, start) ||
  (found.manifest.kind === 'image' && found.manifest.config.digest.startsWith(start))

async function byDigits(
  source: BlobSource,
  images: readonly NamedImage[],
  text: string,
  isMeant = isManifestOrConfig,
): Promise<Fit | undefined> {
  const start = isDigest(text) ? text : `sha256:${text.replace(/^sha256:/, '')}`
  if (!isDigest(start) && !/^sha256:[0-9a-f]+$/.test(start)) return undefined
  const fits: Fit[] = []
  const distinct = new Map(images.map((image) => [image.descriptor.digest, image.descriptor]))
  for (const descriptor of distinct.values()) {
    if (descriptor.digest === start) return { descriptor, name: undefined, manifest: undefined }
    const [first, ...others] = await manifestsThatFit(source, descriptor, (found) =>
      isMeant(found, start),
    )
    const manifest = others.length === 0 ? first : undefined
    if (descriptor.digest.startsWith(start) || first !== undefined)
      fits.push({ descriptor, name: undefined, manifest })
  }
  const [only, ...others] = fits
  if (others.length === 0) return only
  const shared = only?.manifest
  if (shared?.digest === start && others.every(({ manifest }) => manifest?.digest === start))
    return { descriptor: shared, name: undefined, manifest: shared }
  const digests = fits.map(({ descriptor }) => digestHex(descriptor.digest).slice(0, 12))
  throw new DrayError(
    'USAGE',
    `${fits.length} images have digests or ids that begin with ${text} (${digests.slice(0, 5).join(', ')}): ` +
      'give more digits, or a name',
  )
}

/** The manifests of an image that fit; none of an image that is damaged. */
async function manifestsThatFit(
  source: BlobSource,
  top: Descriptor,
  fits: (found: FoundManifest) => boolean,
): Promise<Descriptor[]> {
  const manifests = new Map<Digest, Descriptor>()
  try {
    for await (const found of walkImage(source, top)) {
      const { mediaType, digest, size } = found.descriptor
      if (fits(found)) manifests.set(digest, { mediaType, digest, size })
    }
  } catch (error) {
    if (!isDrayError(error)) throw error
  }
  return [...manifests.values()]
}

/** `registry/name` of a full name, without its tag or digest. */
export function repositoryOf(name: string | undefined): string | undefined {
  const reference = name === undefined ? undefined : tryParseReference(name)
  if (reference === undefined) return undefined
  const { registry, repository } = reference
  return formatReference({ registry, repository })
}
