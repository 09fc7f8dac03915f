import { LRUCache } from 'lru-cache'
import type { Descriptor } from '#oci/descriptor.ts'
import { type Digest, digestAlgorithm, digestOf } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import { type Manifest, parseManifest } from '#oci/manifest.ts'
import { isNonDistributable } from '#oci/media-types.ts'
import type { RepositoryName, Tag } from '#oci/reference.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { checkDigest } from '../storage/verify.ts'
import type { BlobService } from './blobs.ts'
import { type Condition, checkCondition, isConditional } from './conditions.ts'
import { readManifest, type StoredManifest } from './manifest-records.ts'
import { listPage, type Page, type PageRequest } from './pages.ts'
import { PRESENT, RECORD_KEYS } from './record-keys.ts'
import type { ReferrerService } from './referrers.ts'
import type { TaggedManifest } from './tag-repair.ts'
import type { TagService } from './tags.ts'

/** What a client puts in the place of `<tag-or-digest>`. */
export type ManifestSelector = { readonly tag: Tag } | { readonly digest: Digest }

export interface ManifestPush {
  readonly selector: ManifestSelector
  /** Tags to give the manifest besides; for pushes by digest (distribution-spec, "Pushing Manifests"). */
  readonly tags?: readonly Tag[] | undefined
  readonly bytes: Uint8Array
  readonly contentType?: string | undefined
  /** What must hold of every tag that is given, or of the manifest when none is. */
  readonly condition?: Condition | undefined
  /** Whether tags that stand for another manifest may be moved. */
  readonly mayOverwrite: boolean
}

export interface PushedManifest {
  readonly digest: Digest
  readonly subject?: Digest | undefined
}

/** Manifests of repositories (distribution-spec, "Pushing Manifests", "Pulling manifests", "Deleting Manifests"). */
export interface ManifestService {
  /** @throws MANIFEST_UNKNOWN */
  get(name: RepositoryName, selector: ManifestSelector): Promise<StoredManifest>
  /**
   * Stores a manifest, then gives it its tags. A condition is checked before anything is stored, and once more by the
   * change of each tag: only a push that loses one of several tags to another at that very moment leaves a part behind.
   *
   * @throws MANIFEST_INVALID, DIGEST_INVALID, MANIFEST_BLOB_UNKNOWN when the repository lacks what it refers to,
   * PRECONDITION_FAILED, TAG_IMMUTABLE, DENIED when a tag may not be moved
   */
  put(name: RepositoryName, push: ManifestPush): Promise<PushedManifest>
  /** Deletes a tag alone, or a manifest with every tag of it. @throws MANIFEST_UNKNOWN, PRECONDITION_FAILED, TAG_IMMUTABLE */
  delete(name: RepositoryName, selector: ManifestSelector, condition?: Condition): Promise<void>
  /** The names of repositories that ever held a manifest, of those that may be listed. */
  repositories(
    request: PageRequest,
    isListed: (name: RepositoryName) => boolean,
  ): Promise<Page<string>>
}

const LOOKUPS_AT_ONCE = 16
/** Missing references that a refusal names. */
const MOST_NAMED = 100
const KNOWN_REPOSITORIES = 10_000

interface Parsed {
  readonly bytes: Uint8Array
  readonly manifest: Manifest
}

/** What becomes of a manifest that refers to content which the repository lacks: it is refused, or taken as it is. */
export type MissingReferences = 'refuse' | 'allow'

export interface ManifestServiceParts {
  readonly records: RecordDriver
  readonly blobs: BlobService
  readonly tags: TagService
  readonly referrers: ReferrerService
  readonly missingReferences: MissingReferences
  /** Whether nothing is written, repairs included. */
  readonly readOnly: boolean
}

export function createManifestService(parts: ManifestServiceParts): ManifestService {
  const { records, blobs, tags, referrers, missingReferences, readOnly } = parts
  const catalogued = new LRUCache<RepositoryName, true>({ max: KNOWN_REPOSITORIES })

  const isThere = async (name: RepositoryName, digest: Digest) =>
    (await records.get(RECORD_KEYS.manifest(name, digest))) !== undefined

  const taggedManifest = (
    name: RepositoryName,
    digest: Digest,
    store?: () => Promise<void>,
  ): TaggedManifest => ({ name, digest, store, isThere: () => isThere(name, digest) })

  async function get(name: RepositoryName, selector: ManifestSelector): Promise<StoredManifest> {
    const digest = 'digest' in selector ? selector.digest : await tags.resolve(name, selector.tag)
    const manifest = digest === undefined ? undefined : await readManifest(records, name, digest)
    if (manifest !== undefined) return manifest
    if (digest !== undefined && 'tag' in selector && !readOnly) {
      await tags.end(taggedManifest(name, digest), selector.tag)
    }
    throw manifestUnknown(name, selector)
  }

  /** Stores a manifest and what its subject should know of it. */
  async function store(name: RepositoryName, digest: Digest, { bytes, manifest }: Parsed) {
    const { mediaType } = manifest
    const record = Buffer.concat([Buffer.from(`${mediaType}\n`, 'latin1'), bytes])
    await records.put(RECORD_KEYS.manifest(name, digest), record)
    await referrers.add(name, { mediaType, digest, size: bytes.length }, manifest)
  }

  /** After a push and after a deletion, which may have met: what a subject knows of is there, and known if it is. */
  async function settleReferrer(name: RepositoryName, digest: Digest, parsed: Parsed) {
    const { bytes, manifest } = parsed
    if (manifest.subject === undefined) return
    while (!(await isThere(name, digest))) {
      await referrers.remove(name, digest, manifest)
      if (!(await isThere(name, digest))) return
      const { mediaType } = manifest
      await referrers.add(name, { mediaType, digest, size: bytes.length }, manifest)
    }
  }

  /** Nothing ever takes a repository out of the catalog, so that it is enough to have seen it there once. */
  async function catalogue(name: RepositoryName): Promise<void> {
    if (catalogued.has(name)) return
    try {
      await records.put(RECORD_KEYS.repository(name), PRESENT, { ifAbsent: true })
    } catch (error) {
      if (!isDrayError(error, 'RECORD_CONFLICT')) throw error
    }
    catalogued.set(name, true)
  }

  /** Looks up to a bound of what is missing: a manifest of 4 MiB may name tens of thousands. */
  async function checkReferences(name: RepositoryName, manifest: Manifest): Promise<void> {
    const has = async (digest: Digest) =>
      (await blobs.has(name, digest)) ||
      (manifest.kind === 'index' && (await isThere(name, digest)))
    const digests = [...new Set(requiredContent(manifest).map(({ digest }) => digest))]
    const missing: Digest[] = []
    for (let at = 0; at < digests.length && missing.length < MOST_NAMED; at += LOOKUPS_AT_ONCE) {
      const batch = digests.slice(at, at + LOOKUPS_AT_ONCE)
      const found = await Promise.all(batch.map(has))
      missing.push(...batch.filter((_, i) => !found[i]))
    }
    if (missing.length === 0) return
    throw new DrayError(
      'MANIFEST_BLOB_UNKNOWN',
      `the manifest refers to ${missing[0]}, which is not in repository ${name}: push it first`,
      { detail: missing.map((digest) => ({ digest })) },
    )
  }

  /** The condition on a manifest by digest. Its bytes never change, so that there is no race to lose. */
  async function checkManifest(name: RepositoryName, digest: Digest, condition: Condition) {
    if (!isConditional(condition)) return
    const current = (await isThere(name, digest)) ? digest : undefined
    checkCondition(condition, `manifest ${digest}`, current)
  }

  async function put(name: RepositoryName, push: ManifestPush): Promise<PushedManifest> {
    const { selector, bytes, contentType, mayOverwrite, tags: moreTags = [], condition = {} } = push
    const manifest = parseManifest(bytes, contentType)
    const digest =
      'digest' in selector ? digestOf(bytes, digestAlgorithm(selector.digest)) : digestOf(bytes)
    if ('digest' in selector) checkDigest(selector.digest, digest)
    const changes = ('tag' in selector ? [selector.tag] : moreTags).map((tag) => ({
      ...{ tag, digest, condition, mayOverwrite },
    }))
    for (const change of changes) await tags.check(name, change)
    if (changes.length === 0) await checkManifest(name, digest, condition)
    if (missingReferences === 'refuse') await checkReferences(name, manifest)
    await catalogue(name)
    const storeIt = () => store(name, digest, { bytes, manifest })
    await storeIt()
    for (const change of changes) await tags.change(name, change)
    const tagged = taggedManifest(name, digest, storeIt)
    await Promise.all(changes.map(({ tag }) => tags.confirm(tagged, tag)))
    await settleReferrer(name, digest, { bytes, manifest })
    return { digest, subject: manifest.subject?.digest }
  }

  /** Tags go first, so that a crash leaves none that leads nowhere. */
  async function deleteManifest(name: RepositoryName, digest: Digest): Promise<void> {
    const stored = await readManifest(records, name, digest)
    if (stored === undefined) {
      // An earlier deletion may have broken off.
      await tags.settle(taggedManifest(name, digest))
      throw manifestUnknown(name, { digest })
    }
    const { bytes, mediaType } = stored
    const manifest = parseManifest(bytes, mediaType)
    await tags.deleteAllOf(name, digest)
    await referrers.remove(name, digest, manifest)
    const storeIt = () => store(name, digest, { bytes, manifest })
    do {
      await records.delete(RECORD_KEYS.manifest(name, digest))
      await settleReferrer(name, digest, { bytes, manifest })
    } while (!(await tags.settle(taggedManifest(name, digest, storeIt))))
  }

  return {
    get,
    put,
    async delete(name, selector, condition = {}) {
      if ('tag' in selector) {
        const { tag } = selector
        return tags.change(name, { tag, digest: undefined, condition, mayOverwrite: true })
      }
      await checkManifest(name, selector.digest, condition)
      await deleteManifest(name, selector.digest)
    },
    repositories: (request, isListed) =>
      listPage(records, RECORD_KEYS.catalog, request, (name) => isListed(name as RepositoryName)),
  }
}

/** What must be in the repository before the manifest: all but the subject, and layers that may not be passed on. */
function requiredContent(manifest: Manifest): readonly Descriptor[] {
  if (manifest.kind === 'index') return manifest.manifests
  const layers = manifest.layers.filter(({ mediaType }) => !isNonDistributable(mediaType))
  return [manifest.config, ...layers]
}

function manifestUnknown(name: RepositoryName, selector: ManifestSelector): DrayError {
  const what = 'digest' in selector ? `manifest ${selector.digest}` : `tag ${selector.tag}`
  return new DrayError('MANIFEST_UNKNOWN', `unknown ${what} in repository ${name}`)
}
