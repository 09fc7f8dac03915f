import { randomUUID } from 'node:crypto'
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { isErrno } from '#oci/error.ts'
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

export interface SqliteOptions {
  /** Whether nothing will be written, so that the disk need not allow it. Default: false. */
  readonly readOnly?: boolean | undefined
}

/**
 * Keeps records in one SQLite file, which is made when it's missing. Processes of one machine may share it. Calls
 * run on the calling thread, each in well under a millisecond plus the disk's time to sync a change.
 */
export function openSqliteRecordDriver(
  path: string,
  { readOnly = false }: SqliteOptions = {},
): RecordDriver {
  const database = readOnly && !isWritable(dirname(path)) ? openAsItIs(path) : openForChanges(path)
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

function openForChanges(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // SQLite alone would not say what is wrong.
  accessSync(dirname(path), constants.W_OK)
  // Records hold keys: nobody else may read them, nor the files that SQLite makes beside this one, with the same rights.
  closeSync(openSync(path, 'a', 0o600))
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  database.exec(SCHEMA)
  return database
}

/** Without the files that SQLite makes beside one that others might change: here nobody can. */
function openAsItIs(path: string): DatabaseSync {
  if (existsSync(`${path}-wal`)) {
    throw new Error(`${path} was not closed: start a registry once where it can be written to`)
  }
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  return new DatabaseSync(url, { readOnly: true })
}

function isWritable(dir: string): boolean {
  try {
    accessSync(dir, constants.W_OK)
    return true
  } catch (error) {
    return isErrno(error, 'ENOENT')
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
