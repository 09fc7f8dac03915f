import { openFilesBlobDriver } from '#registry/storage/files/blob-driver.ts'
import { filesLayout } from '#registry/storage/files/layout.ts'
import type { Storage } from '#registry/storage/open-storage.ts'
import { openSqliteRecordDriver } from '#registry/storage/sqlite-record-driver.ts'

/** The embedded store, as one process opens it. */
export async function openFilesStorage(dataDir: string): Promise<Storage> {
  const content = await openFilesBlobDriver(dataDir)
  return { content, records: openSqliteRecordDriver(filesLayout(dataDir).records) }
}
