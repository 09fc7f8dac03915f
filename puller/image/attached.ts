import { digestAlgorithm, digestHex } from '#oci/digest.ts'
import { isReferrersTag, referrersTag } from '#oci/referrers-tag.ts'
import type { BlobFiles } from '../store/blobs.ts'
import { manifestsOf } from '../store/contents.ts'
import type { NamedImage } from '../store/image-index.ts'

/**
 * Those entries of a list of images that belong to others of it: signatures, SBOMs and other artifacts, by the tags of the
 * distribution spec or of cosign, of a manifest of an image, or of such an artifact.
 */
export async function attachedImages(
  source: BlobFiles,
  images: readonly NamedImage[],
): Promise<ReadonlySet<NamedImage>> {
  const attached = new Set<NamedImage>()
  let pending = images.filter(({ name = '' }) => isReferrersTag(name))
  if (pending.length === 0) return attached
  let subjects = await stemsOf(
    source,
    images.filter((image) => !pending.includes(image)),
  )
  while (subjects.size > 0 && pending.length > 0) {
    const found = pending.filter(({ name = '' }) => subjects.has(stemOf(name)))
    for (const image of found) attached.add(image)
    pending = pending.filter((image) => !attached.has(image))
    subjects = await stemsOf(source, found)
  }
  return attached
}

/** A list after a change, without what belonged to an image before it ({@link attachedImages}), and belongs to none now. */
export async function withoutDetached(
  source: BlobFiles,
  belonged: ReadonlySet<NamedImage>,
  after: readonly NamedImage[],
): Promise<{ readonly images: readonly NamedImage[]; readonly detached: readonly string[] }> {
  if (belonged.size === 0) return { images: after, detached: [] }
  const belongs = await attachedImages(source, after)
  const isDetached = (image: NamedImage) => belonged.has(image) && !belongs.has(image)
  return {
    images: after.filter((image) => !isDetached(image)),
    detached: after.filter(isDetached).map(({ name = '' }) => name),
  }
}

/** What tags begin with under which there is something that refers to these images. */
async function stemsOf(
  source: BlobFiles,
  images: readonly NamedImage[],
): Promise<ReadonlySet<string>> {
  const stems = new Set<string>()
  for (const { descriptor } of images) {
    for (const digest of await manifestsOf(source, descriptor)) {
      stems.add(`${digestAlgorithm(digest)}-${digestHex(digest)}`)
      stems.add(referrersTag(digest))
    }
  }
  return stems
}

function stemOf(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1).replace(/\..*$/, '')
}
