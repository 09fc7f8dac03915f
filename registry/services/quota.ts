import { LRUCache } from 'lru-cache'
import pLimit from 'p-limit'
import { type Digest, parseDigest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { RepositoryName } from '#oci/reference.ts'
import type { BlobContent } from '../storage/blob-driver.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import type { BlobService } from './blobs.ts'
import { listAll } from './pages.ts'
import { RECORD_KEYS } from './record-keys.ts'

export interface QuotaParts {
  readonly content: BlobContent
  readonly records: RecordDriver
  /** Of all blobs that a repository shows. */
  readonly repositoryBytes: number
}

const MOST_REPOSITORIES = 10_000
/** What other replicas have added is counted after so long. */
const COUNTED_MS = 60_000
const LOOKUPS_AT_ONCE = 16

/**
 * Refuses blobs that would take a repository past its bytes, when they are complete. Blobs that several repositories
 * share count for each. Replicas that push to one repository at once can exceed it by what they push in a minute.
 */
export function limitBytes(blobs: BlobService, parts: QuotaParts): BlobService {
  const { content, records, repositoryBytes } = parts
  const used = new LRUCache<RepositoryName, { bytes: number }>({
    max: MOST_REPOSITORIES,
    ttl: COUNTED_MS,
  })

  async function count(name: RepositoryName): Promise<number> {
    const limit = pLimit(LOOKUPS_AT_ONCE)
    const sizes: Promise<number>[] = []
    for await (const digest of listAll(records, RECORD_KEYS.blobs(name))) {
      sizes.push(limit(async () => (await content.stat(parseDigest(digest)))?.size ?? 0))
    }
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  }

  async function add(name: RepositoryName, digest: Digest): Promise<void> {
    const size = (await content.stat(digest))?.size ?? 0
    const known = used.get(name) ?? { bytes: await count(name) }
    used.set(name, known, { noUpdateTTL: true })
    if (known.bytes + size > repositoryBytes) {
      throw new DrayError(
        'QUOTA_EXCEEDED',
        `repository ${name} may hold ${repositoryBytes} bytes and has ${known.bytes}: delete what is no longer needed`,
        { detail: { limit: repositoryBytes, used: known.bytes, size } },
      )
    }
    known.bytes += size
  }

  return {
    ...blobs,
    async link(name, digest) {
      if (!(await blobs.has(name, digest))) await add(name, digest)
      await blobs.link(name, digest)
    },
    async delete(name, digest) {
      await blobs.delete(name, digest)
      used.delete(name)
    },
  }
}
