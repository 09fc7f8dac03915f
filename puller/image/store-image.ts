import { availableParallelism } from 'node:os'
import { getuid } from 'node:process'
import type { Worker } from 'node:worker_threads'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import { isNonDistributable } from '#oci/media-types.ts'
import type { OnProgress } from '../progress.ts'
import type { FindProxy } from '../proxy/find-proxy.ts'
import type { RepositoryClient } from '../registry/client.ts'
import { createDirectReader } from '../registry/direct.ts'
import { STALL_TIMEOUT_MS } from '../registry/http.ts'
import { readIfExists } from '../store/files.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { type ConnectionOptions, createConnections } from '../transfer/connections.ts'
import type { RetryOptions } from '../transfer/retry.ts'
import { type LayerTask, storeLayers } from '../transfer/store-layers.ts'
import { createWorkerPool } from '../transfer/worker-pool.ts'
import { ensureFixup } from './fixup.ts'
import type { ResolvedImage } from './resolve.ts'
import { keepResolved } from './resolved.ts'

/** Compressed bytes of layers, which a thread takes as long for as to start. */
const BYTES_PER_THREAD = 4 * 1024 * 1024

export interface StoreImageOptions extends ConnectionOptions {
  /** Keeps what is brought, and what is there already. */
  readonly lease: Lease
  /** Undefined when every blob is in the store. */
  readonly client: RepositoryClient | undefined
  readonly signal: AbortSignal
  readonly onProgress: OnProgress
  /** Whether layers are unpacked too, not only verified. Default true. */
  readonly unpack?: boolean | undefined
  /** Longest silence of a server, in ms, before a range is asked for again. Default 30,000. */
  readonly stallTimeoutMs?: number | undefined
  /** The proxies by which hosts are reached. Default: none. */
  readonly proxy?: FindProxy | undefined
  /** Threads that were started ahead. */
  readonly threads?: readonly Worker[] | undefined
  /** How requests that failed are tried again. */
  readonly retry?: Omit<RetryOptions, 'signal'> | undefined
  /** Hears what a person would like to know when a pull is slow. */
  readonly debug?: ((message: string) => void) | undefined
}

/**
 * Brings the layers and documents of an image into the store, unpacked and ready to run unless told otherwise.
 *
 * @returns bytes fetched
 */
export async function storeImage(
  store: Store,
  image: ResolvedImage,
  options: StoreImageOptions,
): Promise<number> {
  const { unpack = true } = options
  await keepResolved(options.lease, image)
  const transferred = await storeBlobs(store, planLayers(image, unpack), options)
  await Promise.all(
    image.documents.map(async ({ descriptor, bytes }) => {
      const local = readIfExists(store.pathOf(descriptor))
      if (!local?.equals(bytes)) await store.writeSmall(descriptor.digest, bytes)
    }),
  )
  if (unpack && image.config !== undefined) {
    await ensureFixup(store, image.config.rootfs.diff_ids)
  }
  return transferred
}

/**
 * Brings blobs into the store, and the layers that they unpack to.
 *
 * @returns bytes fetched
 */
export async function storeBlobs(
  store: Store,
  tasks: readonly LayerTask[],
  options: StoreImageOptions,
): Promise<number> {
  if (tasks.length === 0) return 0
  const cores = availableParallelism()
  const size = threadsFor(tasks, cores)
  const pool = createWorkerPool({
    size,
    inflater: store.inflater,
    started: options.threads,
  })
  const direct = createDirectReader(options.stallTimeoutMs ?? STALL_TIMEOUT_MS, options.proxy)
  try {
    return await storeLayers(store, tasks, {
      ...options,
      pool,
      connections: createConnections(options),
      direct,
      asRoot: getuid?.() === 0,
    })
  } finally {
    direct.close()
    await pool.close()
  }
}

/** One thread a core, as long as each has work for longer than it takes to start; none for less work than that. */
function threadsFor(tasks: readonly LayerTask[], cores: number): number {
  const bytes = tasks.reduce((sum, { blob }) => sum + blob.size, 0)
  if (bytes < BYTES_PER_THREAD) return 0
  return Math.min(tasks.length, cores, Math.ceil(bytes / BYTES_PER_THREAD))
}

/** The distinct layers of an image, biggest first: the longest work must not start last. */
function planLayers({ manifest, config }: ResolvedImage, unpack: boolean): LayerTask[] {
  const tasks = new Map<Digest, LayerTask>()
  for (const [at, layer] of manifest.layers.entries()) {
    if (config === undefined && isNonDistributable(layer.mediaType)) continue
    const diffId = unpack ? config?.rootfs.diff_ids[at] : undefined
    const other = tasks.get(layer.digest)?.diffId ?? diffId
    if (other !== diffId) {
      throw new DrayError(
        'DIFF_ID_MISMATCH',
        `layer ${layer.digest} cannot unpack to both ${other} and ${diffId}, as the image config says: the image is broken`,
      )
    }
    tasks.set(layer.digest, { blob: layer, diffId })
  }
  return [...tasks.values()].sort((a, b) => b.blob.size - a.blob.size)
}
