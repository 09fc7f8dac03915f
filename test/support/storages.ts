import { join } from 'node:path'
import { startCeph } from './ceph-rgw.ts'
import { type RunningRegistry, startRegistryProcess } from './dray.ts'

/** A kind of storage that registries run on, and how to start one, with a throwaway server where it takes one. */
export interface StorageUnderTest {
  readonly name: string
  /** @param dir an empty directory that the caller removes after `stop` */
  start(dir: string): Promise<RunningRegistry>
}

export const STORAGES: readonly StorageUnderTest[] = [
  {
    name: 'embedded storage',
    start: (dir) => startRegistryProcess(['--data', join(dir, 'registry')]),
  },
  { name: 'Ceph S3', start: startOnCeph },
]

async function startOnCeph(): Promise<RunningRegistry> {
  const ceph = await startCeph()
  const bucket = await ceph.createBucket()
  const { host, stop } = await startRegistryProcess(
    ['--s3-bucket', bucket, '--s3-endpoint', ceph.endpoint, '--s3-path-style'],
    {
      AWS_ACCESS_KEY_ID: ceph.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ceph.credentials.secretAccessKey,
    },
  )
  return {
    host,
    async stop() {
      await stop()
      await ceph.stop()
    },
  }
}
