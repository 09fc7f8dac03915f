import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Descriptor } from '#oci/descriptor.ts'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import { parseManifest } from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { isReferrersTag } from '#oci/referrers-tag.ts'
import { readIfExists, replaceFile } from './files.ts'
import { isUnreadable } from './unreadable.ts'

/** What names an image inside an OCI image layout (image-spec, annotations.md). */
export const REF_NAME = 'org.opencontainers.image.ref.name'

/** How docker, buildkit and containerd name an image in full, since the other name may be a tag alone. */
export const CONTAINERD_NAME = 'io.containerd.image.name'

/** An image of a layout: its top-level manifest or index, and the name it goes by there. */
export interface NamedImage {
  readonly name: string | undefined
  readonly descriptor: Descriptor
}

/**
 * Lists the images of an OCI image layout; none when there is no layout.
 *
 * @param mend what to do about a list that is damaged, for the error
 * @throws LAYOUT_INVALID
 */
export async function readImageIndex(
  layoutDir: string,
  mend = 'copy the images there again',
): Promise<NamedImage[]> {
  try {
    const bytes = readIfExists(join(layoutDir, 'index.json'))
    if (bytes === undefined) return []
    const index = parseManifest(bytes, MEDIA_TYPE.ociIndex)
    if (index.kind !== 'index') return []
    return index.manifests.map(toNamedImage)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) {
      throw new DrayError(
        'LAYOUT_INVALID',
        `${layoutDir} is no directory with an OCI image layout: for an archive, write oci-archive: or docker-archive:`,
        { cause: error },
      )
    }
    if (!isDrayError(error) && !isUnreadable(error)) throw error
    throw new DrayError(
      'LAYOUT_INVALID',
      `${join(layoutDir, 'index.json')} is damaged (${errorMessage(error)}): ${mend}`,
      { cause: error },
    )
  }
}

function toNamedImage({ annotations = {}, ...descriptor }: Descriptor): NamedImage {
  const { [REF_NAME]: name, ...others } = annotations
  const hasOthers = Object.keys(others).length > 0
  return { name, descriptor: hasOthers ? { ...descriptor, annotations: others } : descriptor }
}

/** Writes the list of images of a layout, which is made if it isn't there. */
export async function writeImageIndex(
  layoutDir: string,
  images: readonly NamedImage[],
): Promise<void> {
  await mkdir(join(layoutDir, 'blobs'), { recursive: true })
  const marker = join(layoutDir, 'oci-layout')
  if (readIfExists(marker) === undefined) {
    await replaceFile(marker, JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  }
  const manifests = images.map(({ name, descriptor }) => {
    const annotations = {
      ...descriptor.annotations,
      ...(name === undefined ? {} : { [REF_NAME]: name }),
    }
    return Object.keys(annotations).length === 0 ? descriptor : { ...descriptor, annotations }
  })
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests }
  await replaceFile(join(layoutDir, 'index.json'), `${JSON.stringify(index, undefined, 2)}\n`)
}

/** A list of images with one more. Whoever had its name before stays without one, unless it has others. */
export function withImage(images: readonly NamedImage[], added: NamedImage): NamedImage[] {
  const renamed = images.map((image) =>
    image.name === added.name ? { ...image, name: undefined } : image,
  )
  return withoutNeedless([...renamed, added])
}

/** A list of images without the entries that have no name where another entry stands for the same image. */
export function withoutNeedless(images: readonly NamedImage[]): NamedImage[] {
  return images.filter(
    ({ name, descriptor }, at) =>
      name !== undefined ||
      !images.some(
        (other, place) =>
          other.descriptor.digest === descriptor.digest && (other.name !== undefined || place < at),
      ),
  )
}

/**
 * Finds an image of a layout by name; without a name the layout must hold just one, but for lists of referrers.
 *
 * @throws IMAGE_UNKNOWN naming what there is
 */
export function findImage(
  images: readonly NamedImage[],
  name: string | undefined,
  where: string,
): NamedImage {
  const [only, ...others] = images.filter((image) =>
    name === undefined ? !isReferrersTag(image.name ?? '') : image.name === name,
  )
  if (only !== undefined && (name !== undefined || others.length === 0)) return only
  const names = images.map((image) => image.name ?? image.descriptor.digest)
  const has = names.length === 0 ? 'it is empty' : `it has ${names.slice(0, 10).join(', ')}`
  throw new DrayError(
    'IMAGE_UNKNOWN',
    name === undefined
      ? `${where} does not say which image: ${has}`
      : `no image ${name} in ${where}: ${has}`,
  )
}
