import type { Descriptor } from '#oci/descriptor.ts'
import { DrayError } from '#oci/error.ts'
import { selectManifest } from '#oci/manifest.ts'
import { formatPlatform, type Platform } from '#oci/platform.ts'
import { type BlobSource, readManifest } from '../store/blobs.ts'

/**
 * The manifest of an image for a platform, down through its indexes.
 *
 * @throws PLATFORM_UNKNOWN when there is none, or it isn't here; LAYOUT_INVALID, CONTENT_MISMATCH, MANIFEST_INVALID
 */
export async function manifestFor(
  source: BlobSource,
  descriptor: Descriptor,
  platform: Platform,
): Promise<Descriptor> {
  const manifest = await readManifest(source, descriptor)
  if (manifest.kind === 'image') return descriptor
  const child = selectManifest(manifest, platform)
  if (await source.has(child)) return await manifestFor(source, child, platform)
  const wanted = formatPlatform(platform)
  throw new DrayError(
    'PLATFORM_UNKNOWN',
    `the image for ${wanted} is not here: pull it with --platform ${wanted}`,
  )
}
