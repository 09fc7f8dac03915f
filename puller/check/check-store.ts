import { availableParallelism } from 'node:os'
import type { Digest } from '#oci/digest.ts'
import { errorMessage, isDrayError } from '#oci/error.ts'
import type { PullOptions } from '../pull.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { createWorkerPool, type WorkerPool } from '../transfer/worker-pool.ts'
import { findDamagedBlobs } from './blobs.ts'
import { type Inventory, takeInventory } from './documents.ts'
import { checkLayer, type UnpackedLayer } from './layers.ts'
import { fetchAgain } from './repair.ts'

/** Something of the store that isn't what it should be. */
export interface Finding {
  readonly kind: 'blob' | 'layer'
  /** Digest of the blob, diffID of the layer. */
  readonly digest: Digest
  /** An image that needs it; of a layer, undefined. */
  readonly image?: string | undefined
  readonly why: string
  readonly isRepaired: boolean
  /** Why it couldn't be repaired, if that was asked for. */
  readonly failure?: string | undefined
}

export interface CheckOptions extends PullOptions {
  /** Whether what is damaged is fetched or unpacked again. Default false. */
  readonly repair?: boolean | undefined
  /** Whether layers are read also where fs-verity vouches for them. Default false. */
  readonly full?: boolean | undefined
  /** Hears of each layer that wasn't read, since fs-verity vouches for it. */
  readonly onVouched?: ((diffId: Digest) => void) | undefined
}

/**
 * Verifies every blob that an image of the store needs against its digest, and every unpacked layer against what its blob unpacks
 * to; of a layer that has fs-verity, its digests are enough. With `repair`, blobs that are damaged or missing are fetched
 * again, those alone, and layers unpacked again.
 *
 * @returns what was found, in the order of digests
 */
export async function checkStore(store: Store, options: CheckOptions = {}): Promise<Finding[]> {
  const lease = await store.lease()
  const cores = availableParallelism()
  const pool = createWorkerPool({ size: cores, inflater: store.inflater })
  try {
    const work = { pool, lease, right: new Set<Digest>(), findings: new Map<Digest, Finding>() }
    const inventory = await checkBlobs(store, work, options)
    await checkLayers(store, inventory, work, options)
    return [...work.findings.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
  } finally {
    await pool.close()
    lease.close()
  }
}

interface Work {
  readonly pool: WorkerPool
  readonly lease: Lease
  /** Blobs that are what they should be. */
  readonly right: Set<Digest>
  readonly findings: Map<Digest, Finding>
}

/**
 * A document that was repaired may name more to look at: so again, until nothing new is found.
 *
 * @returns what images need after that
 */
async function checkBlobs(store: Store, work: Work, options: CheckOptions): Promise<Inventory> {
  for (;;) {
    const inventory = await takeInventory(store, work.lease)
    const damaged = await findDamagedBlobs(store, inventory, work)
    for (const blob of work.findings.values()) {
      if (work.right.has(blob.digest))
        work.findings.set(blob.digest, { ...blob, isRepaired: true, failure: undefined })
    }
    const fresh = [...damaged].filter(([{ descriptor }]) => !work.findings.has(descriptor.digest))
    for (const [{ descriptor, image }, why] of fresh) {
      const name = image.name ?? image.descriptor.digest
      const { digest } = descriptor
      work.findings.set(digest, { kind: 'blob', digest, image: name, why, isRepaired: false })
    }
    if (!options.repair || fresh.length === 0) return inventory
    const blobs = fresh.map(([blob]) => blob)
    for (const [digest, failure] of await fetchAgain(store, work.lease, blobs, options)) {
      const finding = work.findings.get(digest)
      if (finding !== undefined) work.findings.set(digest, { ...finding, failure })
    }
  }
}

async function checkLayers(
  store: Store,
  inventory: Inventory,
  { pool, right, lease, findings }: Work,
  { repair = false, full = false, onVouched }: CheckOptions,
): Promise<void> {
  const layers = layersOf(inventory).filter(({ blob }) => right.has(blob.digest))
  await lease.keep({ layers: layers.map(({ diffId }) => diffId) })
  await Promise.all(
    layers.map(async (layer) => {
      const { diffId: digest } = layer
      try {
        const why = await checkLayer(store, layer, {
          pool,
          repair,
          full,
          onVouched: () => onVouched?.(digest),
        })
        if (why !== undefined)
          findings.set(digest, { kind: 'layer', digest, why, isRepaired: repair })
      } catch (error) {
        if (!isDrayError(error)) throw error
        const why = errorMessage(error)
        findings.set(digest, { kind: 'layer', digest, why, isRepaired: false })
      }
    }),
  )
}

function layersOf({ manifests }: Inventory): UnpackedLayer[] {
  const layers = new Map<Digest, UnpackedLayer>()
  for (const { manifest, config } of manifests) {
    for (const [at, blob] of manifest.layers.entries()) {
      const diffId = config.rootfs.diff_ids[at]
      if (diffId !== undefined) layers.set(diffId, { diffId, blob })
    }
  }
  return [...layers.values()]
}
