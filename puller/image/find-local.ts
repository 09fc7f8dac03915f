import type { Descriptor } from '#oci/descriptor.ts'
import { digestHex, isDigest } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import { formatReference, isImageId, tryParseReference, withDefaultTag } from '#oci/reference.ts'
import type { BlobSource } from '../store/blobs.ts'
import type { NamedImage } from '../store/image-index.ts'
import { walkImage } from './walk.ts'

/** An image of the local store, as it was asked for. */
export interface FoundImage {
  readonly descriptor: Descriptor
  /** The name it was found by; undefined when it was asked for by its digest. */
  readonly name: string | undefined
  /** All its names. */
  readonly names: readonly string[]
  /** The manifest whose config was asked for: that of one platform, where the image has several. */
  readonly manifest: Descriptor | undefined
}

/**
 * Finds an image by its name; by its digest or that of a config (which docker and podman call the image's id), whole, also without
 * `sha256:`, or after a name; or by the first digits of one of the two, in this order.
 *
 * @throws IMAGE_UNKNOWN; USAGE when several images fit
 */
export async function findLocal(
  source: BlobSource,
  images: readonly NamedImage[],
  text: string,
): Promise<FoundImage> {
  const named = isImageId(text) ? undefined : byReference(images, text)
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
  return { manifest: undefined, ...found, names }
}

function byReference(images: readonly NamedImage[], text: string): NamedImage | undefined {
  const reference = tryParseReference(text)
  if (reference === undefined) return undefined
  const name = formatReference(withDefaultTag(reference))
  const { digest, repository, registry } = reference
  const named = images.find((image) => image.name === name)
  if (named !== undefined || digest === undefined) return named
  const full = formatReference({ registry, repository })
  const same = images.filter(({ descriptor }) => descriptor.digest === digest)
  return nameless(same.find((image) => repositoryOf(image.name) === full))
}

type Fit = Pick<FoundImage, 'descriptor' | 'name' | 'manifest'>

async function byDigits(
  source: BlobSource,
  images: readonly NamedImage[],
  text: string,
): Promise<Fit | undefined> {
  const start = isDigest(text) ? text : `sha256:${text.replace(/^sha256:/, '')}`
  if (!isDigest(start) && !/^sha256:[0-9a-f]+$/.test(start)) return undefined
  const fits: Fit[] = []
  const distinct = new Map(images.map((image) => [image.descriptor.digest, image.descriptor]))
  for (const descriptor of distinct.values()) {
    if (descriptor.digest === start) return { descriptor, name: undefined, manifest: undefined }
    const [config, ...others] = await configsThatBegin(source, descriptor, start)
    const manifest = others.length === 0 ? config : undefined
    if (descriptor.digest.startsWith(start) || config !== undefined)
      fits.push({ descriptor, name: undefined, manifest })
  }
  if (fits.length < 2) return fits[0]
  const digests = fits.map(({ descriptor }) => digestHex(descriptor.digest).slice(0, 12))
  throw new DrayError(
    'USAGE',
    `${fits.length} images have digests or ids that begin with ${text} (${digests.slice(0, 5).join(', ')}): ` +
      'give more digits, or a name',
  )
}

/** The manifests of an image whose configs fit; none of an image that is damaged. */
async function configsThatBegin(
  source: BlobSource,
  top: Descriptor,
  start: string,
): Promise<Descriptor[]> {
  const found: Descriptor[] = []
  try {
    for await (const { descriptor, manifest } of walkImage(source, top))
      if (manifest.kind === 'image' && manifest.config.digest.startsWith(start))
        found.push(descriptor)
  } catch (error) {
    if (!isDrayError(error)) throw error
  }
  return found
}

/** `registry/name` of a full name, without its tag or digest. */
export function repositoryOf(name: string | undefined): string | undefined {
  const reference = name === undefined ? undefined : tryParseReference(name)
  if (reference === undefined) return undefined
  const { registry, repository } = reference
  return formatReference({ registry, repository })
}

function nameless(image: NamedImage | undefined): NamedImage | undefined {
  return image && { ...image, name: undefined }
}
