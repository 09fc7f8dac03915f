import type { Descriptor } from '#oci/descriptor.ts'
import type { Manifest } from '#oci/manifest.ts'
import { type BlobSource, readManifest } from '../store/blobs.ts'

/** A manifest or index of a layout. */
export interface FoundManifest {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
}

/**
 * The manifests of an image that a layout has, from the outside in: of an index, those that are there.
 *
 * @throws LAYOUT_INVALID when it lacks the image itself; CONTENT_MISMATCH, MANIFEST_INVALID
 */
export async function* walkImage(
  source: BlobSource,
  descriptor: Descriptor,
): AsyncGenerator<FoundManifest, void, undefined> {
  const manifest = await readManifest(source, descriptor)
  yield { descriptor, manifest }
  if (manifest.kind === 'image') return
  for (const child of manifest.manifests) {
    if (await source.has(child)) yield* walkImage(source, child)
  }
}
