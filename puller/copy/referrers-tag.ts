import type { Descriptor } from '#oci/descriptor.ts'
import { isDrayError } from '#oci/error.ts'
import { parseManifest } from '#oci/manifest.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import { referrersTag } from '#oci/referrers-tag.ts'
import { document } from '../image/compose.ts'
import type { Document } from '../image/resolve.ts'
import type { RepositoryClient } from '../registry/client.ts'
import { withRetries } from '../transfer/retry.ts'
import { referrerDescriptor } from './referrers.ts'
import type { ImageTree } from './tree.ts'

/**
 * Lists a manifest under the tag that stands in for the referrers API where a registry lacks it (distribution-spec,
 * "Pushing Manifests with Subject"). There is no way to do so that is safe from others who do the same.
 */
export async function listInReferrersTag(
  client: RepositoryClient,
  subject: Descriptor,
  referrer: ImageTree,
  signal: AbortSignal,
): Promise<void> {
  const tag = referrersTag(subject.digest)
  const listed = await withRetries(() => readList(client, tag, signal), { signal })
  const added = referrerDescriptor(referrer)
  if (listed.some(({ digest }) => digest === added.digest)) return
  const { bytes } = referrersIndex([...listed, added])
  await withRetries(() => client.putManifest(tag, bytes, MEDIA_TYPE.ociIndex, signal), { signal })
}

/** The index that lists referrers. */
export function referrersIndex(manifests: readonly Descriptor[]): Document {
  const mediaType = MEDIA_TYPE.ociIndex
  return document(mediaType, { schemaVersion: 2, mediaType, manifests })
}

async function readList(
  client: RepositoryClient,
  tag: string,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  try {
    const { bytes, contentType } = await client.getManifest(tag, signal)
    const index = parseManifest(bytes, contentType)
    return index.kind === 'index' ? index.manifests : []
  } catch (error) {
    if (isDrayError(error, 'IMAGE_UNKNOWN')) return []
    throw error
  }
}
