import type { Digest } from '#oci/digest.ts'
import { isDrayError } from '#oci/error.ts'
import type { RepositoryName, Tag } from '#oci/reference.ts'
import type { RecordDriver, StoredRecord } from '../storage/record-driver.ts'
import { PRESENT, RECORD_KEYS } from './record-keys.ts'

/** The manifest that tags lead to. */
export interface TaggedManifest {
  readonly name: RepositoryName
  readonly digest: Digest
  isThere(): Promise<boolean>
  /** Stores it again; undefined for who doesn't have its bytes. */
  readonly store?: (() => Promise<void>) | undefined
}

/**
 * Keeps tags and manifests in step, which are records of their own (docs/adr/0005-tags-without-locks.md): whoever gives
 * a tag looks for the manifest afterwards, whoever deletes a manifest looks for tags afterwards, so that of two who
 * meet at least one sees the other.
 */
export interface TagRepair {
  /** After a tag was given: sees to it that it leads to the manifest, unless it was moved on or ended since. */
  confirm(manifest: TaggedManifest, tag: Tag): Promise<void>
  /**
   * After a manifest was deleted: forgets that it had a tag. If it still has it, given meanwhile, the manifest comes
   * back; if nobody has its bytes, the tag goes. False when it came back and the tag was gone afterwards.
   */
  forget(manifest: TaggedManifest, tag: Tag): Promise<boolean>
  /** Ends a tag that leads nowhere, which a crash can leave of a push and a deletion that met. */
  end(manifest: TaggedManifest, tag: Tag): Promise<void>
}

export function createTagRepair(records: RecordDriver): TagRepair {
  const taggedKey = ({ name, digest }: TaggedManifest, tag: Tag) =>
    RECORD_KEYS.tagged(name, digest, tag)

  /** The record of the tag, if it stands for the manifest. */
  async function read({ name, digest }: TaggedManifest, tag: Tag) {
    const record = await records.get(RECORD_KEYS.tag(name, tag))
    const isOf = record !== undefined && Buffer.from(record.bytes).toString() === digest
    return isOf ? record : undefined
  }

  async function isInStep(manifest: TaggedManifest, tag: Tag): Promise<boolean> {
    const [isThere, tagged] = await Promise.all([
      manifest.isThere(),
      records.get(taggedKey(manifest, tag)),
    ])
    return isThere && tagged !== undefined
  }

  async function end(manifest: TaggedManifest, tag: Tag): Promise<void> {
    const found = await read(manifest, tag)
    // Looked for after the tag was read: whoever brings it back writes the tag after that, as a new version.
    if (found === undefined || (await manifest.isThere())) return
    const key = RECORD_KEYS.tag(manifest.name, tag)
    await succeeds(records.delete(key, { ifVersion: found.version }))
  }

  /** Brings the manifest back and writes the tag again; false when somebody changed the tag meanwhile. */
  async function restore(manifest: TaggedManifest, tag: Tag, found: StoredRecord) {
    await manifest.store?.()
    await records.put(taggedKey(manifest, tag), PRESENT)
    const { bytes, version: ifVersion } = found
    return succeeds(records.put(RECORD_KEYS.tag(manifest.name, tag), bytes, { ifVersion }))
  }

  return {
    end,
    async confirm(manifest, tag) {
      const key = RECORD_KEYS.tag(manifest.name, tag)
      while (!(await isInStep(manifest, tag))) {
        const found = await read(manifest, tag)
        if (found === undefined) return
        if (await restore(manifest, tag, found)) continue
        // Nobody knows yet that it was given: whoever ended it did so before.
        await succeeds(records.put(key, found.bytes, { ifAbsent: true }))
      }
    },
    async forget(manifest, tag) {
      if ((await read(manifest, tag)) === undefined) {
        await records.delete(taggedKey(manifest, tag))
        // It may have been given between the two, by somebody who saw the record that is gone now.
        if ((await read(manifest, tag)) === undefined) return true
        await records.put(taggedKey(manifest, tag), PRESENT)
      }
      if (manifest.store === undefined) {
        await end(manifest, tag)
        return true
      }
      while (!(await isInStep(manifest, tag))) {
        const found = await read(manifest, tag)
        if (found === undefined) return true
        if (await restore(manifest, tag, found)) continue
        if ((await read(manifest, tag)) === undefined) return false
      }
      return true
    },
  }
}

/** False when somebody else changed the record before. */
async function succeeds(change: Promise<void>): Promise<boolean> {
  try {
    await change
    return true
  } catch (error) {
    if (isDrayError(error, 'RECORD_CONFLICT')) return false
    throw error
  }
}
