import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigDocument, parseConfig, startRegistry } from '#registry/index.ts'
import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { openSqliteRecordDriver } from '#registry/storage/sqlite-record-driver.ts'
import { testClosedReplicas } from '../contract/registry/closed-replicas.ts'
import type { RegistryFixture } from '../contract/registry/fixture.ts'
import { testRegistry } from '../contract/registry/registry.ts'
import { openFilesStorage } from './faults/files-storage.ts'

async function inMemory(flags: ConfigDocument = {}): Promise<RegistryFixture> {
  const records = createMemoryRecordDriver()
  const storage = { content: createMemoryBlobDriver(), records }
  const config = parseConfig({ env: {}, flags: { ...flags, listen: '127.0.0.1:0' } })
  const { url, close } = await startRegistry(config, { storage })
  return { urls: [url], contents: () => records.list('', { limit: 100_000 }), stop: close }
}

/** Two processes' worth of registries on one data directory. */
async function onFiles(flags: ConfigDocument = {}): Promise<RegistryFixture> {
  const dataDir = await mkdtemp(join(tmpdir(), 'dray-registry-'))
  const config = parseConfig({ env: {}, flags: { ...flags, listen: '127.0.0.1:0', dataDir } })
  const registries = [await startRegistry(config), await startRegistry(config)]
  const records = openSqliteRecordDriver(join(dataDir, 'records.sqlite'))
  return {
    urls: registries.map(({ url }) => url),
    async contents() {
      const files = await readdir(dataDir, { recursive: true, withFileTypes: true })
      const blobs = files
        .filter((file) => file.isFile() && !file.name.startsWith('records.sqlite'))
        .map((file) => join(file.parentPath, file.name))
      return [...blobs.sort(), ...(await records.list('', { limit: 100_000 }))]
    },
    async stop() {
      for (const registry of registries) await registry.close()
      await records.close()
      await rm(dataDir, { recursive: true })
    },
  }
}

testRegistry('a registry in memory', inMemory)
testRegistry('two processes on one data directory', onFiles)
testClosedReplicas('two processes on one data directory', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dray-registry-'))
  return { open: () => openFilesStorage(dataDir), remove: () => rm(dataDir, { recursive: true }) }
})
