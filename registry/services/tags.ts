import { type Digest, parseDigest } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import { parseTag, type RepositoryName, type Tag } from '#oci/reference.ts'
import type { RecordDriver } from '../storage/record-driver.ts'
import { type Condition, checkCondition, isConditional } from './conditions.ts'
import { listAll, listPage, type Page, type PageRequest } from './pages.ts'
import { PRESENT, RECORD_KEYS } from './record-keys.ts'
import { createTagRepair, type TaggedManifest } from './tag-repair.ts'
import type { IsImmutable } from './tag-rules.ts'

/** A change of a tag that somebody asks for. */
export interface TagChange {
  readonly tag: Tag
  /** What it is to stand for; undefined for nothing. */
  readonly digest: Digest | undefined
  /** What must hold of the tag; of many who rely on one state of it, on any replica, one succeeds. */
  readonly condition: Condition
  /** Whether a tag that stands for another manifest may be moved. */
  readonly mayOverwrite: boolean
}

/** What tags stand for. */
export interface TagService {
  resolve(name: RepositoryName, tag: Tag): Promise<Digest | undefined>
  /** Whether a change could be made now. @throws PRECONDITION_FAILED, TAG_IMMUTABLE, DENIED */
  check(name: RepositoryName, change: TagChange): Promise<void>
  /**
   * Makes a change. Whoever gives a tag calls `confirm` afterwards.
   *
   * @throws PRECONDITION_FAILED, TAG_IMMUTABLE, DENIED, MANIFEST_UNKNOWN when there is no tag to delete
   */
  change(name: RepositoryName, change: TagChange): Promise<void>
  /**
   * Ends every tag that stands for a manifest; tags that are moved to another one meanwhile stay.
   *
   * @throws TAG_IMMUTABLE when one of them is; all stay
   */
  deleteAllOf(name: RepositoryName, digest: Digest): Promise<void>
  /** Sees to it that a tag which was just given leads to the manifest, also when that is being deleted. */
  confirm(manifest: TaggedManifest, tag: Tag): Promise<void>
  /**
   * Forgets what tags a manifest had that was just deleted; brings it back if it was given one meanwhile. False when
   * it was brought back for a tag that is gone by now, so that it has to be deleted again.
   */
  settle(manifest: TaggedManifest): Promise<boolean>
  /** Ends a tag whose manifest was not found. */
  end(manifest: TaggedManifest, tag: Tag): Promise<void>
  /** @throws NAME_UNKNOWN when the repository never held a manifest */
  list(name: RepositoryName, request: PageRequest): Promise<Page<string>>
}

export function createTagService(records: RecordDriver, isImmutable: IsImmutable): TagService {
  const repair = createTagRepair(records)

  async function read(name: RepositoryName, tag: Tag) {
    const record = await records.get(RECORD_KEYS.tag(name, tag))
    if (record === undefined) return undefined
    const digest = parseDigest(Buffer.from(record.bytes).toString())
    return { digest, version: record.version }
  }

  const isGuarded = (name: RepositoryName, { tag, condition, mayOverwrite }: TagChange) =>
    !mayOverwrite || isConditional(condition) || isImmutable(name, tag)

  async function check(name: RepositoryName, change: TagChange) {
    const { tag, digest, condition, mayOverwrite } = change
    const found = await read(name, tag)
    if (found !== undefined && found.digest !== digest && !mayOverwrite) {
      throw new DrayError(
        'DENIED',
        `tag ${tag} of ${name} stands for another manifest: you may create tags, not overwrite them`,
      )
    }
    checkCondition(condition, `tag ${tag}`, found?.digest)
    if (found !== undefined && found.digest !== digest && isImmutable(name, tag)) {
      throw tagImmutable(name, tag, found.digest)
    }
    return found
  }

  /** Makes the change on what the check has seen; when that has changed meanwhile, both again. */
  async function changeChecked(name: RepositoryName, change: TagChange): Promise<void> {
    const { tag, digest } = change
    const key = RECORD_KEYS.tag(name, tag)
    const found = await check(name, change)
    if (found?.digest === digest && digest !== undefined) return
    try {
      if (digest === undefined) {
        if (found === undefined) throw tagUnknown(name, tag)
        await records.delete(key, { ifVersion: found.version })
      } else {
        const condition =
          found === undefined ? { ifAbsent: true as const } : { ifVersion: found.version }
        await records.put(key, Buffer.from(digest), condition)
      }
    } catch (error) {
      if (!isDrayError(error, 'RECORD_CONFLICT')) throw error
      return changeChecked(name, change)
    }
  }

  async function* tagsOf(name: RepositoryName, digest: Digest): AsyncGenerator<Tag> {
    for await (const tag of listAll(records, RECORD_KEYS.taggedAs(name, digest)))
      yield parseTag(tag)
  }

  return {
    resolve: async (name, tag) => (await read(name, tag))?.digest,
    async check(name, change) {
      if (isGuarded(name, change)) await check(name, change)
    },
    async change(name, change) {
      const { tag, digest } = change
      // In this order, so that whoever deletes the manifest finds every tag of it.
      if (digest !== undefined) await records.put(RECORD_KEYS.tagged(name, digest, tag), PRESENT)
      if (isGuarded(name, change)) {
        await changeChecked(name, change)
      } else if (digest !== undefined) {
        await records.put(RECORD_KEYS.tag(name, tag), Buffer.from(digest))
      } else {
        if ((await read(name, tag)) === undefined) throw tagUnknown(name, tag)
        await records.delete(RECORD_KEYS.tag(name, tag))
      }
    },
    async deleteAllOf(name, digest) {
      const condition = { ifMatch: [digest] }
      for await (const tag of tagsOf(name, digest)) {
        if (!isImmutable(name, tag)) continue
        const found = await read(name, tag)
        if (found?.digest === digest) throw tagImmutable(name, tag, digest)
      }
      for await (const tag of tagsOf(name, digest)) {
        try {
          await changeChecked(name, {
            ...{ tag, digest: undefined, condition, mayOverwrite: true },
          })
        } catch (error) {
          if (!isDrayError(error, 'PRECONDITION_FAILED')) throw error
        }
      }
    },
    confirm: repair.confirm,
    async settle(manifest) {
      let isSettled = true
      for await (const tag of tagsOf(manifest.name, manifest.digest)) {
        if (!(await repair.forget(manifest, tag))) isSettled = false
      }
      return isSettled
    },
    end: repair.end,
    async list(name, request) {
      if ((await records.get(RECORD_KEYS.repository(name))) === undefined) {
        throw new DrayError('NAME_UNKNOWN', `unknown repository ${name}`)
      }
      return listPage(records, RECORD_KEYS.tags(name), request)
    },
  }
}

function tagUnknown(name: RepositoryName, tag: Tag): DrayError {
  return new DrayError('MANIFEST_UNKNOWN', `unknown tag ${tag} in repository ${name}`)
}

function tagImmutable(name: RepositoryName, tag: Tag, digest: Digest): DrayError {
  return new DrayError(
    'TAG_IMMUTABLE',
    `tag ${tag} of repository ${name} is immutable and stays with ${digest}: use another tag`,
    { detail: { tag, digest } },
  )
}
