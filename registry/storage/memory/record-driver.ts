import { recordConflict } from '../errors.ts'
import type { RecordDriver, StoredRecord } from '../record-driver.ts'

/** Keeps records in this process's memory, for tests. Keys are ASCII, so their order is that of their bytes. */
export function createMemoryRecordDriver(): RecordDriver {
  const records = new Map<string, StoredRecord>()
  let changes = 0

  function check(key: string, condition: { ifAbsent?: true; ifVersion?: string }): void {
    const found = records.get(key)
    const lost =
      (condition.ifAbsent && found !== undefined) ||
      (condition.ifVersion !== undefined && found?.version !== condition.ifVersion)
    if (lost) throw recordConflict(key)
  }

  return {
    async get(key) {
      return records.get(key)
    },
    async put(key, bytes, condition = {}) {
      check(key, condition)
      changes++
      records.set(key, { bytes: Uint8Array.from(bytes), version: String(changes) })
    },
    async delete(key, condition = {}) {
      check(key, condition)
      records.delete(key)
    },
    async list(prefix, { after, limit }) {
      const isListed = (key: string) =>
        key.startsWith(prefix) && (after === undefined || key > after)
      return [...records.keys()].filter(isListed).sort().slice(0, limit)
    },
    async close() {},
  }
}
