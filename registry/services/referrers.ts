import type { Descriptor } from '#oci/descriptor.ts'
import { descriptorSchema } from '#oci/descriptor.ts'
import { type Digest, parseDigest } from '#oci/digest.ts'
import { parseJson } from '#oci/json.ts'
import { MANIFEST_LIMIT, type Manifest, parseManifest } from '#oci/manifest.ts'
import type { RepositoryName } from '#oci/reference.ts'
import { check } from '#oci/schema.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { readManifest } from './manifest-records.ts'
import { listPage, type Page } from './pages.ts'
import { RECORD_KEYS } from './record-keys.ts'
import { namedByReferrersTag } from './referrers-tag.ts'
import type { TagService } from './tags.ts'

export interface ReferrersRequest {
  readonly artifactType?: string | undefined
  /** Digest of the last referrer of the page before. */
  readonly last?: Digest | undefined
}

/**
 * Manifests by their subject (distribution-spec, "Listing Referrers"). Those that only the referrers tag of a client
 * names, from before the registry kept them, are listed as well ("Enabling the Referrers API").
 */
export interface ReferrerService {
  /** Records a manifest under its subject, if it has one. */
  add(name: RepositoryName, descriptor: Descriptor, manifest: Manifest): Promise<void>
  remove(name: RepositoryName, digest: Digest, manifest: Manifest): Promise<void>
  list(name: RepositoryName, subject: Digest, request: ReferrersRequest): Promise<Page<Descriptor>>
}

/** Records read for one page; a page may hold fewer, since annotations can be as large as a manifest. */
const PAGE_RECORDS = 500
const PAGE_BYTES = MANIFEST_LIMIT
const READS_AT_ONCE = 16

export function createReferrerService(records: RecordDriver, tags: TagService): ReferrerService {
  interface Found {
    readonly entry: string
    readonly descriptor: Descriptor
    readonly bytes: number
  }

  async function read(
    name: RepositoryName,
    subject: Digest,
    entry: string,
  ): Promise<Found | undefined> {
    const digest = parseDigest(entry)
    const record = await records.get(RECORD_KEYS.referrer(name, subject, digest))
    if (record === undefined) return readUnrecorded(name, subject, digest)
    const value = parseJson(record.bytes, { code: 'INTERNAL', maxBytes: 2 * MANIFEST_LIMIT })
    const descriptor: Descriptor = check(descriptorSchema, value, 'referrer', 'INTERNAL')
    return { entry, descriptor, bytes: record.bytes.length }
  }

  /** A referrer by what its own manifest says, whatever the tag that named it claims. */
  async function readUnrecorded(
    name: RepositoryName,
    subject: Digest,
    digest: Digest,
  ): Promise<Found | undefined> {
    const stored = await readManifest(records, name, digest)
    if (stored === undefined) return undefined
    const { mediaType, bytes } = stored
    const manifest = parseManifest(bytes, mediaType)
    if (manifest.subject?.digest !== subject) return undefined
    const descriptor = referrerDescriptor({ mediaType, digest, size: bytes.length }, manifest)
    return { entry: digest, descriptor, bytes: JSON.stringify(descriptor).length }
  }

  /** Digests of possible referrers, at most as many as one page takes. */
  async function candidates(
    name: RepositoryName,
    subject: Digest,
    last: Digest | undefined,
  ): Promise<Page<string>> {
    const prefix = RECORD_KEYS.referrers(name, subject)
    const [page, named] = await Promise.all([
      listPage(records, prefix, { limit: PAGE_RECORDS, last }),
      namedByReferrersTag({ records, tags }, name, subject),
    ])
    const { entries, next } = page
    const others = named.filter(
      (entry) => (last === undefined || entry > last) && (next === undefined || entry <= next),
    )
    const merged = [...new Set([...entries, ...others])].sort()
    if (merged.length <= PAGE_RECORDS) return { entries: merged, next }
    const first = merged.slice(0, PAGE_RECORDS)
    return { entries: first, next: first.at(-1) }
  }

  return {
    async add(name, descriptor, manifest) {
      if (manifest.subject === undefined) return
      const key = RECORD_KEYS.referrer(name, manifest.subject.digest, descriptor.digest)
      const referrer = referrerDescriptor(descriptor, manifest)
      await records.put(key, Buffer.from(JSON.stringify(referrer)))
    },
    async remove(name, digest, { subject }) {
      if (subject !== undefined) {
        await records.delete(RECORD_KEYS.referrer(name, subject.digest, digest))
      }
    },
    async list(name, subject, { artifactType, last }) {
      const page = await candidates(name, subject, last)
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
