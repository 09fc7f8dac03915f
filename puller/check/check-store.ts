import { availableParallelism } from 'node:os'
import { chainId } from '#oci/chain-id.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage } from '#oci/error.ts'
import type { PullOptions } from '../pull.ts'
import type { NamedImage } from '../store/image-index.ts'
import { hasLayer } from '../store/layers.ts'
import type { Lease } from '../store/lease.ts'
import { withRoom } from '../store/no-room.ts'
import type { Store } from '../store/store.ts'
import { isImageAtFault } from '../transfer/store-layers.ts'
import { createWorkerPool, type WorkerPool } from '../transfer/worker-pool.ts'
import { findDamagedBlobs } from './blobs.ts'
import { type Inventory, takeInventory } from './documents.ts'
import { checkFixup } from './fixups.ts'
import { checkDiffId, checkLayer } from './layers.ts'
import { fetchAgain } from './repair.ts'

/** Something of the store that isn't what it should be. */
export interface Finding {
  /** A fix-up gives directories of a stack of layers the attributes that they have in lower ones. */
  readonly kind: 'blob' | 'layer' | 'fixup'
  /** Digest of the blob, diffID of the layer, chainID of the stack. */
  readonly digest: Digest
  /** An image that needs it, or names it wrongly; of a layer or a fix-up, undefined. */
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
 * Verifies every blob that an image of the store needs against its digest, every unpacked layer against what its blob unpacks
 * to, and every fix-up against what its layers give; of a layer that has fs-verity, its digests are enough. With `repair`,
 * blobs that are damaged or missing are fetched again, those alone, and layers unpacked and fix-ups made again.
 *
 * @returns what was found, in the order of digests
 * @throws STORE_FAILED where layers can't be unpacked to be compared
 */
export async function checkStore(store: Store, options: CheckOptions = {}): Promise<Finding[]> {
  await mustBeWritable(store)
  return await withRoom(store.layout.root, () => checkWritable(store, options))
}

async function mustBeWritable(store: Store): Promise<void> {
  const stage = await store.stage().catch((cause: unknown) => {
    throw new DrayError(
      'STORE_FAILED',
      `${errorMessage(cause)}. Layers are unpacked in the store to be compared: make it writable, and check again`,
      { cause },
    )
  })
  await stage.close()
}

async function checkWritable(store: Store, options: CheckOptions): Promise<Finding[]> {
  const lease = await store.lease()
  const cores = availableParallelism()
  const pool = createWorkerPool({ size: cores, inflater: store.inflater })
  try {
    const work: Work = { pool, lease, right: new Set(), sound: new Set(), blobs: new Map() }
    const inventory = await checkBlobs(store, work, options)
    const layers = await checkLayers(store, inventory, work, options)
    const fixups = await checkFixups(store, inventory, work, options)
    return [...work.blobs.values(), ...layers, ...fixups].sort((a, b) =>
      a.digest < b.digest ? -1 : 1,
    )
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
  /** Unpacked layers that are what they should be. */
  readonly sound: Set<Digest>
  /** What was found of blobs. */
  readonly blobs: Map<Digest, Finding>
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
    for (const blob of work.blobs.values()) {
      if (work.right.has(blob.digest))
        work.blobs.set(blob.digest, { ...blob, isRepaired: true, failure: undefined })
    }
    const fresh = [...damaged].filter(([{ descriptor }]) => !work.blobs.has(descriptor.digest))
    for (const [{ descriptor, image }, why] of fresh) {
      const { digest } = descriptor
      const name = nameOf(image)
      work.blobs.set(digest, { kind: 'blob', digest, image: name, why, isRepaired: false })
    }
    if (!options.repair || fresh.length === 0) return inventory
    const blobs = fresh.map(([blob]) => blob)
    for (const [digest, failure] of await fetchAgain(store, work.lease, blobs, options)) {
      const finding = work.blobs.get(digest)
      if (finding !== undefined) work.blobs.set(digest, { ...finding, failure })
    }
  }
}

async function checkLayers(
  store: Store,
  inventory: Inventory,
  work: Work,
  options: CheckOptions,
): Promise<Finding[]> {
  const layers = layersOf(inventory, work.right)
  await work.lease.keep({ layers: layers.keys() })
  const found = await Promise.all(
    [...layers].map(([diffId, blobs]) => checkNamed(store, { diffId, blobs }, work, options)),
  )
  return found.flat()
}

/** A blob that an image says a layer comes as. */
interface NamedBlob {
  readonly blob: Descriptor
  readonly image: NamedImage
}

/** Compares a layer with what the first blob unpacks to that is one of its own, and looks whether all others are. */
async function checkNamed(
  store: Store,
  { diffId, blobs }: { readonly diffId: Digest; readonly blobs: Iterable<NamedBlob> },
  { pool, sound }: Work,
  { repair = false, full = false, onVouched }: CheckOptions,
): Promise<Finding[]> {
  const findings: Finding[] = []
  if (!(await hasLayer(store.layout, diffId))) return findings
  const options = { pool, repair, full, onVouched: () => onVouched?.(diffId) }
  let isCompared = false
  for (const { blob, image } of blobs) {
    try {
      if (isCompared) {
        await checkDiffId(store, { diffId, blob }, pool)
        continue
      }
      const why = await checkLayer(store, { diffId, blob }, options)
      isCompared = true
      if (why === undefined || repair) sound.add(diffId)
      if (why !== undefined)
        findings.push({ kind: 'layer', digest: diffId, why, isRepaired: repair })
    } catch (error) {
      if (!isImageAtFault(error)) throw error
      const why = errorMessage(error)
      const { digest } = blob
      findings.push({ kind: 'blob', digest, image: nameOf(image), why, isRepaired: false })
    }
  }
  return findings
}

/** Looks at the fix-ups of stacks whose layers are what they should be. */
async function checkFixups(
  store: Store,
  { manifests }: Inventory,
  { lease, sound }: Work,
  { repair = false }: CheckOptions,
): Promise<Finding[]> {
  const stacks = new Map<Digest, readonly Digest[]>()
  for (const { config } of manifests) {
    const diffIds = config.rootfs.diff_ids
    const chain = chainId(diffIds)
    if (chain !== undefined && diffIds.every((id) => sound.has(id))) stacks.set(chain, diffIds)
  }
  await lease.keep({ fixups: stacks.keys() })
  const findings: Finding[] = []
  for (const [digest, diffIds] of stacks) {
    const why = await checkFixup(store, digest, diffIds, repair)
    if (why !== undefined) findings.push({ kind: 'fixup', digest, why, isRepaired: repair })
  }
  return findings
}

/** The layers that images name, by diffID, each with the blobs that it is said to come as, of those that are right. */
function layersOf(
  { manifests }: Inventory,
  right: ReadonlySet<Digest>,
): ReadonlyMap<Digest, readonly NamedBlob[]> {
  const layers = new Map<Digest, NamedBlob[]>()
  for (const { image, manifest, config } of manifests) {
    for (const [at, blob] of manifest.layers.entries()) {
      const diffId = config.rootfs.diff_ids[at]
      if (diffId === undefined || !right.has(blob.digest)) continue
      const blobs = layers.get(diffId) ?? []
      layers.set(diffId, blobs)
      if (!blobs.some((named) => named.blob.digest === blob.digest)) blobs.push({ blob, image })
    }
  }
  return layers
}

function nameOf({ name, descriptor }: NamedImage): string {
  return name ?? descriptor.digest
}
