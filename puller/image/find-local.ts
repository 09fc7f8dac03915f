import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestHex, isDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { formatReference, tryParseReference, withDefaultTag } from '#oci/reference.ts'
import type { NamedImage } from '../store/image-index.ts'

/** An image of the local store, as it was asked for. */
export interface FoundImage {
  readonly descriptor: Descriptor
  /** The name it was found by; undefined when it was asked for by its digest. */
  readonly name: string | undefined
  /** All its names. */
  readonly names: readonly string[]
}

/**
 * Finds an image by its name, its digest (also after a name, and without `sha256:`), or the first digits of the digest, in this
 * order.
 *
 * @throws IMAGE_UNKNOWN; USAGE when several digests begin so
 */
export function findLocal(images: readonly NamedImage[], text: string): FoundImage {
  const found = lookUp(images, text)
  if (found === undefined) {
    throw new DrayError(
      'IMAGE_UNKNOWN',
      `no image ${JSON.stringify(text)} in the local store: dray images lists them`,
    )
  }
  const { digest } = found.descriptor
  const same = images.filter(({ descriptor }) => descriptor.digest === digest)
  return { ...found, names: same.flatMap(({ name }) => (name === undefined ? [] : [name])) }
}

function lookUp(images: readonly NamedImage[], text: string): NamedImage | undefined {
  const whole = /^[0-9a-f]{64}$/.test(text) ? `sha256:${text}` : text
  if (isDigest(whole)) return nameless(images.find(hasDigest(whole)))
  return byReference(images, text) ?? byPrefix(images, text)
}

function byReference(images: readonly NamedImage[], text: string): NamedImage | undefined {
  const reference = tryParseReference(text)
  if (reference === undefined) return undefined
  const name = formatReference(withDefaultTag(reference))
  const { digest, repository, registry } = reference
  const named = images.find((image) => image.name === name)
  if (named !== undefined || digest === undefined) return named
  const full = formatReference({ registry, repository })
  return nameless(
    images.filter(hasDigest(digest)).find((image) => repositoryOf(image.name) === full),
  )
}

function byPrefix(images: readonly NamedImage[], text: string): NamedImage | undefined {
  const [, prefix] = /^(?:sha256:)?([0-9a-f]{1,63})$/.exec(text) ?? []
  if (prefix === undefined) return undefined
  const fits = images.filter(({ descriptor }) => digestHex(descriptor.digest).startsWith(prefix))
  const digests = new Set(fits.map(({ descriptor }) => descriptor.digest))
  if (digests.size < 2) return nameless(fits[0])
  throw new DrayError(
    'USAGE',
    `${digests.size} images have digests that begin with ${prefix}: give more digits`,
  )
}

/** `registry/name` of a full name, without its tag or digest. */
export function repositoryOf(name: string | undefined): string | undefined {
  const reference = name === undefined ? undefined : tryParseReference(name)
  if (reference === undefined) return undefined
  const { registry, repository } = reference
  return formatReference({ registry, repository })
}

function hasDigest(digest: Digest): (image: NamedImage) => boolean {
  return ({ descriptor }) => descriptor.digest === digest
}

function nameless(image: NamedImage | undefined): NamedImage | undefined {
  return image === undefined ? undefined : { ...image, name: undefined }
}
