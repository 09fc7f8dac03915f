import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import { type Reference, type RepositoryName, tryParseReference } from '#oci/reference.ts'
import type { Store } from '../store/store.ts'
import { layoutSource } from './from-layout.ts'
import { blobsOf, readImageTree, type TreeBlob } from './tree.ts'

/** For blobs, another repository of the registry at hand that is thought to have them. */
export type HeldElsewhere = (digest: Digest) => RepositoryName | undefined

/** A token for more repositories than these becomes too long for some servers. */
const MOST_REPOSITORIES = 8

/** Which blobs to take from where, out of few repositories: each needs a right of its own. */
export interface Mounts {
  readonly from: ReadonlyMap<Digest, RepositoryName>
  readonly repositories: readonly RepositoryName[]
}

/** @param blobs the most important ones first */
export function chooseMounts(
  elsewhere: HeldElsewhere | undefined,
  blobs: readonly TreeBlob[],
): Mounts {
  const from = new Map<Digest, RepositoryName>()
  const repositories = new Set<RepositoryName>()
  for (const { descriptor } of blobs) {
    const repository = elsewhere?.(descriptor.digest)
    if (repository === undefined) continue
    if (!repositories.has(repository) && repositories.size === MOST_REPOSITORIES) continue
    repositories.add(repository)
    from.set(descriptor.digest, repository)
  }
  return { from, repositories: [...repositories] }
}

/** What the target's registry has in other repositories, by the names that images of the local store have. */
export async function heldElsewhere(
  store: Store,
  target: Reference,
  signal: AbortSignal,
): Promise<HeldElsewhere> {
  const holders = new Map<Digest, RepositoryName>()
  for (const { name, descriptor } of await store.images()) {
    const repository = otherRepository(name, target)
    if (repository === undefined) continue
    for (const digest of await blobsIn(store, descriptor, signal)) holders.set(digest, repository)
  }
  return (digest) => holders.get(digest)
}

/** None of an image that isn't whole: what is wrong with it is no matter of the image that is pushed. */
async function blobsIn(
  store: Store,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  try {
    const source = await layoutSource(store, descriptor)
    const tree = await readImageTree(source, source.top, { signal })
    return blobsOf([tree]).map((blob) => blob.descriptor.digest)
  } catch (error) {
    if (isDrayError(error)) return []
    throw error
  }
}

function otherRepository(name: string | undefined, target: Reference): RepositoryName | undefined {
  const { registry, repository } = tryParseReference(name ?? '') ?? {}
  return registry === target.registry && repository !== target.repository ? repository : undefined
}
