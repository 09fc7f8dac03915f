import { DrayError, errorMessage } from '#oci/error.ts'
import type { RegistryConfig, S3Config } from '../config.ts'
import type { Observer } from '../metrics/observer.ts'
import type { BlobDriver } from './blob-driver.ts'
import type { RecordDriver } from './record-driver.ts'
import type { HashPeers } from './running-hashes.ts'

/** Where a registry keeps everything. */
export interface Storage {
  readonly content: BlobDriver
  readonly records: RecordDriver
}

export interface OpenOptions {
  /** Whether the storage is tried before it is used. */
  readonly isChecked: boolean
  /** Counts calls to S3. Default: nobody does. */
  readonly observer?: Observer | undefined
  /** Default: this is the only process. */
  readonly peers?: HashPeers | undefined
}

/**
 * Opens the storage that the configuration names. Code of a storage that isn't used isn't loaded.
 *
 * @throws CONFIG_INVALID, STORAGE_FAILED
 */
export function openStorage(config: RegistryConfig, options: OpenOptions): Promise<Storage> {
  return config.s3 === undefined
    ? openFiles(config, options)
    : openBucket(config, config.s3, options)
}

async function openFiles(
  { dataDir, readOnly }: RegistryConfig,
  { isChecked, peers }: OpenOptions,
): Promise<Storage> {
  const { openFilesBlobDriver } = await import('./files/blob-driver.ts')
  const { filesLayout } = await import('./files/layout.ts')
  const { openSqliteRecordDriver } = await import('./sqlite-record-driver.ts')
  const { checkFileSystem } = await import('./files/check.ts')
  try {
    if (isChecked) await checkFileSystem(dataDir)
    const content = await openFilesBlobDriver(dataDir, { peers })
    return { content, records: openSqliteRecordDriver(filesLayout(dataDir).records, { readOnly }) }
  } catch (cause) {
    const why = `cannot use the data directory ${dataDir}: ${errorMessage(cause)}`
    throw new DrayError('CONFIG_INVALID', `${why}; correct that, or choose another one (dataDir)`, {
      cause,
    })
  }
}

/** Parts on their way to S3 in the memory of all workers: 60 MiB. */
const PART_BUFFERS = 12
/** What one upload at full speed has use for: one that fills and two on their way. */
const LEAST_PART_BUFFERS = 3

async function openBucket(
  { workers }: RegistryConfig,
  options: S3Config,
  { isChecked, observer, peers }: OpenOptions,
): Promise<Storage> {
  const { openObjectStore } = await import('./s3/object-store.ts')
  const { s3Layout } = await import('./s3/layout.ts')
  const { createS3BlobDriver } = await import('./s3/blob-driver.ts')
  const { createS3RecordDriver } = await import('./s3/record-driver.ts')
  const { createPresigner } = await import('./s3/presign.ts')
  const { probeBucket } = await import('./s3/probe.ts')
  if (isChecked) await probeBucket(options)
  const store = openObjectStore({ ...options, observer })
  const layout = s3Layout(options.prefix)
  const presigner = options.redirect ? createPresigner(options) : undefined
  return {
    content: createS3BlobDriver(store, layout, {
      presigner,
      peers,
      partBuffers: Math.max(LEAST_PART_BUFFERS, Math.floor(PART_BUFFERS / workers)),
    }),
    records: createS3RecordDriver(store, layout),
  }
}
