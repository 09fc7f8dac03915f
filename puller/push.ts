import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { type Reference, withDefaultTag } from '#oci/reference.ts'
import { type CopyOptions, type CopyResult, copyToRegistry } from './copy/copy.ts'
import { layoutSource } from './copy/from-layout.ts'
import type { HeldElsewhere } from './copy/mounts.ts'
import { accessOf, type RegistryAccess } from './registry/access.ts'
import type { RepositoryClient } from './registry/client.ts'
import { openPlaces } from './registry/places.ts'
import type { BlobSource } from './store/blobs.ts'
import { withRetries } from './transfer/retry.ts'

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

/**
 * Tells which blobs are where an image will be pushed to. The registry is connected to at the first question.
 *
 * @throws REGISTRY_UNREACHABLE, REGISTRY_FAILED
 */
export function blobsHeldBy(
  reference: Reference,
  options: RegistryAccess & { readonly signal: AbortSignal },
): (digest: Digest) => Promise<boolean> {
  const { signal } = options
  let opening: Promise<RepositoryClient> | undefined
  return async (digest) => {
    opening ??= openPlaces(withDefaultTag(reference), {
      access: 'push',
      ...accessOf(options),
      signal,
    })
    const client = await opening
    return await withRetries(() => client.hasBlob(digest, signal), { signal })
  }
}
