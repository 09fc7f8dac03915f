import { createMemoryBlobDriver } from '#registry/storage/memory/blob-driver.ts'
import { createMemoryRecordDriver } from '#registry/storage/memory/record-driver.ts'
import { testBlobDriver } from '../../contract/blob-driver.ts'
import { testRecordDriver } from '../../contract/record-driver.ts'

testBlobDriver('blobs in memory', async () => {
  const driver = createMemoryBlobDriver()
  return { open: async () => driver, dispose: async () => {} }
})

testRecordDriver('records in memory', async () => {
  const driver = createMemoryRecordDriver()
  return { open: async () => driver, dispose: async () => {} }
})
