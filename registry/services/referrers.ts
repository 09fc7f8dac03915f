import type { Descriptor } from '#oci/descriptor.ts'
import { descriptorSchema } from '#oci/descriptor.ts'
import { type Digest, parseDigest } from '#oci/digest.ts'
import { parseJson } from '#oci/json.ts'
import { MANIFEST_LIMIT, type Manifest } from '#oci/manifest.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { check } from '#oci/schema.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { listPage, type Page } from './pages.ts'
import { RECORD_KEYS } from './record-keys.ts'

export interface ReferrersRequest {
  readonly artifactType?: string | undefined
  /** Digest of the last referrer of the page before. */
  readonly last?: Digest | undefined
}

/** Manifests by their subject (distribution-spec, "Listing Referrers"). */
export interface ReferrerService {
  /** Records a manifest under its subject, if it has one; returns the subject. */
  add(name: RepositoryName, descriptor: Descriptor, manifest: Manifest): Promise<Digest | undefined>
  remove(name: RepositoryName, digest: Digest, manifest: Manifest): Promise<void>
  list(name: RepositoryName, subject: Digest, request: ReferrersRequest): Promise<Page<Descriptor>>
}

/** Records read for one page; a page may hold fewer, since annotations can be as large as a manifest. */
const PAGE_RECORDS = 500
const PAGE_BYTES = MANIFEST_LIMIT
const READS_AT_ONCE = 16

export function createReferrerService(records: RecordDriver): ReferrerService {
  async function read(name: RepositoryName, subject: Digest, entry: string) {
    const record = await records.get(RECORD_KEYS.referrer(name, subject, parseDigest(entry)))
    if (record === undefined) return undefined
    const value = parseJson(record.bytes, { code: 'INTERNAL', maxBytes: 2 * MANIFEST_LIMIT })
    const descriptor: Descriptor = check(descriptorSchema, value, 'referrer', 'INTERNAL')
    return { entry, descriptor, bytes: record.bytes.length }
  }

  return {
    async add(name, descriptor, manifest) {
      if (manifest.subject === undefined) return undefined
      const subject = manifest.subject.digest
      const key = RECORD_KEYS.referrer(name, subject, descriptor.digest)
      const referrer = referrerDescriptor(descriptor, manifest)
      await records.put(key, Buffer.from(JSON.stringify(referrer)))
      return subject
    },
    async remove(name, digest, { subject }) {
      if (subject !== undefined) {
        await records.delete(RECORD_KEYS.referrer(name, subject.digest, digest))
      }
    },
    async list(name, subject, { artifactType, last }) {
      const prefix = RECORD_KEYS.referrers(name, subject)
      const page = await listPage(records, prefix, { limit: PAGE_RECORDS, last })
      const entries: Descriptor[] = []
      let bytes = 0
      let seen = last as string | undefined
      for (let at = 0; at < page.entries.length; at += READS_AT_ONCE) {
        const batch = page.entries.slice(at, at + READS_AT_ONCE)
        for (const found of await Promise.all(batch.map((entry) => read(name, subject, entry)))) {
          if (found === undefined) continue
          const isWanted =
            artifactType === undefined || found.descriptor.artifactType === artifactType
          if (isWanted && bytes > 0 && bytes + found.bytes > PAGE_BYTES)
            return { entries, next: seen }
          seen = found.entry
          if (!isWanted) continue
          entries.push(found.descriptor)
          bytes += found.bytes
        }
      }
      return { entries, next: page.next }
    },
  }
}

function referrerDescriptor(descriptor: Descriptor, manifest: Manifest): Descriptor {
  const fallback = manifest.kind === 'image' ? manifest.config.mediaType : undefined
  const artifactType = manifest.artifactType || fallback
  const { annotations } = manifest
  return {
    ...descriptor,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }
}
