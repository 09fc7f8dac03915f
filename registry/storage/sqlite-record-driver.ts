import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { recordConflict, storageFailed } from './errors.ts'
import type { RecordDriver } from './record-driver.ts'

const BUSY_TIMEOUT_MS = 5000

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL; -- an acknowledged write survives a power failure
  CREATE TABLE IF NOT EXISTS records (
    key TEXT NOT NULL UNIQUE,
    version TEXT NOT NULL,
    bytes BLOB NOT NULL
  );
`

const STATEMENTS = {
  get: 'SELECT version, bytes FROM records WHERE key = ?',
  put: `INSERT INTO records (key, version, bytes) VALUES (?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET version = excluded.version, bytes = excluded.bytes`,
  create: 'INSERT INTO records (key, version, bytes) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING',
  replace: 'UPDATE records SET version = ?, bytes = ? WHERE key = ? AND version = ?',
  remove: 'DELETE FROM records WHERE key = ?',
  removeVersion: 'DELETE FROM records WHERE key = ? AND version = ?',
  // Keys are compared as bytes; no key holds a character above DEL.
  list: 'SELECT key FROM records WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?',
} as const

/**
 * Keeps records in one SQLite file, which is made when it's missing. Processes of one machine may share it. Calls
 * run on the calling thread, each in well under a millisecond plus the disk's time to sync a change.
 */
export function openSqliteRecordDriver(path: string): RecordDriver {
  mkdirSync(dirname(path), { recursive: true })
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  database.exec(SCHEMA)
  const get = database.prepare(STATEMENTS.get)
  const put = database.prepare(STATEMENTS.put)
  const create = database.prepare(STATEMENTS.create)
  const replace = database.prepare(STATEMENTS.replace)
  const remove = database.prepare(STATEMENTS.remove)
  const removeVersion = database.prepare(STATEMENTS.removeVersion)
  const list = database.prepare(STATEMENTS.list)
  return {
    get: (key) =>
      guarded('read a record', () => {
        const row = get.get(key)
        if (row === undefined) return undefined
        return { bytes: row.bytes as Uint8Array, version: row.version as string }
      }),
    put: (key, bytes, { ifAbsent, ifVersion } = {}) =>
      guarded('write a record', () => {
        const version = randomUUID()
        if (ifVersion !== undefined) {
          expectChange(key, replace.run(version, bytes, key, ifVersion))
        } else if (ifAbsent) {
          expectChange(key, create.run(key, version, bytes))
        } else {
          put.run(key, version, bytes)
        }
      }),
    delete: (key, { ifVersion } = {}) =>
      guarded('delete a record', () => {
        if (ifVersion === undefined) remove.run(key)
        else expectChange(key, removeVersion.run(key, ifVersion))
      }),
    list: (prefix, { after = '', limit }) =>
      guarded('list records', () =>
        list.all(prefix, after, `${prefix}\x7f`, limit).map((row) => row.key as string),
      ),
    async close() {
      database.close()
    },
  }
}

function expectChange(key: string, { changes }: { changes: number | bigint }): void {
  if (Number(changes) === 0) throw recordConflict(key)
}

async function guarded<T>(what: string, work: () => T): Promise<T> {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && 'errcode' in error) throw storageFailed(what, error)
    throw error
  }
}
