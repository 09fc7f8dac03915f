import { LRUCache } from 'lru-cache'
import { DrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { UploadId, UploadService } from './uploads.ts'

export interface OpenUploadOptions {
  /** In each repository. */
  readonly openUploads: number
  /** After so long an upload is forgotten that nobody has finished. */
  readonly uploadTtlMs: number
}

const MOST_REPOSITORIES = 10_000

/** Limits how many uploads are open in a repository that this process has started. */
export function limitOpenUploads(
  uploads: UploadService,
  { openUploads, uploadTtlMs }: OpenUploadOptions,
): UploadService {
  const open = new LRUCache<RepositoryName, LRUCache<UploadId, true>>({ max: MOST_REPOSITORIES })

  function openIn(name: RepositoryName): LRUCache<UploadId, true> {
    const known = open.get(name)
    if (known !== undefined) return known
    const fresh = new LRUCache<UploadId, true>({ max: openUploads, ttl: uploadTtlMs })
    open.set(name, fresh)
    return fresh
  }

  return {
    ...uploads,
    async start(place, algorithm) {
      const ids = openIn(place.name)
      ids.purgeStale()
      if (ids.size >= openUploads) {
        throw new DrayError(
          'TOOMANYREQUESTS',
          `repository ${place.name} has ${openUploads} open uploads: finish or cancel some first`,
          { retryable: true },
        )
      }
      const id = await uploads.start(place, algorithm)
      ids.set(id, true)
      return id
    },
    async finish(place, id, digest, chunk) {
      await uploads.finish(place, id, digest, chunk)
      openIn(place.name).delete(id)
    },
    async cancel(place, id) {
      await uploads.cancel(place, id)
      openIn(place.name).delete(id)
    },
  }
}
