import { type Digest, parseDigest } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import { parseTag, type RepositoryName, type Tag } from '#oci/reference.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { listPage, PAGE_LIMIT, type Page, type PageRequest } from './pages.ts'
import { PRESENT, RECORD_KEYS } from './record-keys.ts'

/** What tags stand for. */
export interface TagService {
  resolve(name: RepositoryName, tag: Tag): Promise<Digest | undefined>
  set(name: RepositoryName, tag: Tag, digest: Digest): Promise<void>
  /** @throws MANIFEST_UNKNOWN */
  delete(name: RepositoryName, tag: Tag): Promise<void>
  /** Ends every tag that stands for a manifest; tags that are moved to another one meanwhile stay. */
  deleteAllOf(name: RepositoryName, digest: Digest): Promise<void>
  /** @throws NAME_UNKNOWN when the repository never held a manifest */
  list(name: RepositoryName, request: PageRequest): Promise<Page<string>>
}

export function createTagService(records: RecordDriver): TagService {
  async function read(name: RepositoryName, tag: Tag) {
    const record = await records.get(RECORD_KEYS.tag(name, tag))
    if (record === undefined) return undefined
    const digest = parseDigest(Buffer.from(record.bytes).toString())
    return { digest, version: record.version }
  }

  async function deleteIfOf(name: RepositoryName, tag: Tag, digest: Digest): Promise<void> {
    const found = await read(name, tag)
    if (found?.digest === digest) {
      try {
        await records.delete(RECORD_KEYS.tag(name, tag), { ifVersion: found.version })
      } catch (error) {
        if (!isDrayError(error, 'RECORD_CONFLICT')) throw error
        return deleteIfOf(name, tag, digest)
      }
    }
    await records.delete(RECORD_KEYS.tagged(name, digest, tag))
  }

  return {
    resolve: async (name, tag) => (await read(name, tag))?.digest,
    async set(name, tag, digest) {
      // In this order, so that whoever deletes the manifest finds every tag of it.
      await records.put(RECORD_KEYS.tagged(name, digest, tag), PRESENT)
      await records.put(RECORD_KEYS.tag(name, tag), Buffer.from(digest))
    },
    async delete(name, tag) {
      const found = await read(name, tag)
      if (found === undefined) throw new DrayError('MANIFEST_UNKNOWN', `unknown tag ${tag}`)
      await records.delete(RECORD_KEYS.tag(name, tag))
      await records.delete(RECORD_KEYS.tagged(name, found.digest, tag))
    },
    async deleteAllOf(name, digest) {
      const prefix = RECORD_KEYS.taggedAs(name, digest)
      let last: string | undefined
      do {
        const page: Page<string> = await listPage(records, prefix, { limit: PAGE_LIMIT, last })
        for (const tag of page.entries) await deleteIfOf(name, parseTag(tag), digest)
        last = page.next
      } while (last !== undefined)
    },
    async list(name, request) {
      if ((await records.get(RECORD_KEYS.repository(name))) === undefined) {
        throw new DrayError('NAME_UNKNOWN', `unknown repository ${name}`)
      }
      return listPage(records, RECORD_KEYS.tags(name), request)
    },
  }
}
