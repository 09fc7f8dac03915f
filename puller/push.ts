import type { Descriptor } from '#oci/descriptor.ts'
import type { Reference } from '#oci/reference.ts'
import { type CopyOptions, type CopyResult, copyToRegistry } from './copy/copy.ts'
import { layoutSource } from './copy/from-layout.ts'
import type { HeldElsewhere } from './copy/mounts.ts'
import type { RegistryAccess } from './registry/access.ts'
import type { BlobSource } from './store/blobs.ts'

export interface PushOptions extends CopyOptions, RegistryAccess {
  /** Where in the same registry blobs are that this image may have. */
  readonly elsewhere?: HeldElsewhere | undefined
}

/** An image in an OCI image layout: the local store, or one on disk. */
export interface LocalImage {
  readonly source: BlobSource
  /** Its manifest or index. */
  readonly descriptor: Descriptor
}

/** Pushes an image of a layout as it is: see {@link copyToRegistry}, which says what it throws, too. */
export async function pushImage(
  { source, descriptor }: LocalImage,
  reference: Reference,
  options: PushOptions = {},
): Promise<CopyResult> {
  return await copyToRegistry(
    await layoutSource(source, descriptor),
    { ...options, reference },
    options,
  )
}
