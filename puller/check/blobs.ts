import type { Digest } from '#oci/digest.ts'
import { errorMessage, isDrayError } from '#oci/error.ts'
import { isNonDistributable } from '#oci/media-types.ts'
import { exists } from '../store/files.ts'
import type { Store } from '../store/store.ts'
import { createPrefix } from '../transfer/prefix.ts'
import type { WorkerPool } from '../transfer/worker-pool.ts'
import type { Inventory, NeededBlob } from './documents.ts'

/**
 * Hashes the blobs that images need, several at once, but for those that were found to be right before, to which the right ones
 * are added.
 *
 * @returns the others, each with what is wrong with it
 */
export async function findDamagedBlobs(
  store: Store,
  { blobs, damaged }: Inventory,
  { pool, right }: { readonly pool: WorkerPool; readonly right: Set<Digest> },
): Promise<ReadonlyMap<NeededBlob, string>> {
  const found = new Map<NeededBlob, string>()
  await Promise.all(
    [...blobs.values()].map(async (blob) => {
      const { digest } = blob.descriptor
      if (right.has(digest)) return
      const why = damaged.get(digest) ?? (await whatIsWrong(store, blob, pool))
      if (why === undefined) right.add(digest)
      else found.set(blob, why)
    }),
  )
  return found
}

async function whatIsWrong(
  store: Store,
  { descriptor }: NeededBlob,
  pool: WorkerPool,
): Promise<string | undefined> {
  const { digest, size, mediaType } = descriptor
  const path = store.pathOf(descriptor)
  if (!(await exists(path))) return isNonDistributable(mediaType) ? undefined : 'it is missing'
  if (!(await store.has(descriptor))) return `it does not have ${size} bytes`
  try {
    await pool.run({ path, prefix: createPrefix(size), digest, size })
    return undefined
  } catch (error) {
    if (!isDrayError(error, 'CONTENT_MISMATCH')) throw error
    return errorMessage(error)
  }
}
