import type { Digest } from '#oci/digest.ts'
import { parseManifest } from '#oci/manifest.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { referrersTag } from '#oci/referrers-tag.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { readManifest } from './manifest-records.ts'
import type { TagService } from './tags.ts'

/** What the referrers tag of a subject names, if there is one and it stands for an index. Clients may write anything. */
export async function namedByReferrersTag(
  { records, tags }: { readonly records: RecordDriver; readonly tags: TagService },
  name: RepositoryName,
  subject: Digest,
): Promise<readonly Digest[]> {
  const digest = await tags.resolve(name, referrersTag(subject))
  const stored = digest === undefined ? undefined : await readManifest(records, name, digest)
  if (stored === undefined) return []
  const index = parseManifest(stored.bytes, stored.mediaType)
  return index.kind === 'index' ? index.manifests.map((descriptor) => descriptor.digest) : []
}
