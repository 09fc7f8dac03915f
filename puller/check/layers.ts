import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { getuid } from 'node:process'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { errorMessage, isDrayError } from '#oci/error.ts'
import { verityObstacle } from '../store/layer-verity.ts'
import {
  finishStagedLayer,
  isBlobOf,
  type LayerFormName,
  type LayerRecord,
  readLayer,
  replaceWith,
  stageLayer,
  wrongVerity,
} from '../store/layers.ts'
import { layerParts } from '../store/layout.ts'
import type { Store } from '../store/store.ts'
import { isUnreadable } from '../store/unreadable.ts'
import { writeTar } from '../tar/writer.ts'
import { createPrefix } from '../transfer/prefix.ts'
import type { WorkerPool } from '../transfer/worker-pool.ts'

const MiB = 1024 * 1024

/** A layer, and a blob that an image says it comes as, whose digest is right. */
export interface NamedLayer {
  readonly diffId: Digest
  readonly blob: Descriptor
}

export interface CheckLayerOptions {
  readonly pool: WorkerPool
  readonly repair: boolean
  /** Whether files are read also where fs-verity vouches for them. */
  readonly full: boolean
  /** Hears that they weren't. */
  readonly onVouched: () => void
}

/**
 * Compares an unpacked layer with what its blob unpacks to now, and puts that in its place when it is to be repaired. A container
 * that runs keeps what it has until it is started again.
 *
 * @returns what is wrong with it, or was; undefined when nothing is, or it isn't unpacked
 * @throws DIFF_ID_MISMATCH when the blob unpacks to something else; COMPRESSION_INVALID, TAR_INVALID, LAYER_INVALID, STORE_FAILED
 */
export async function checkLayer(
  store: Store,
  { diffId, blob }: NamedLayer,
  { pool, repair, full, onVouched }: CheckLayerOptions,
): Promise<string | undefined> {
  const known = recordOf(store, diffId)
  if (known === undefined) return undefined
  const { form, verity } = known
  const { dir } = store.layout.layer(diffId)
  const wrong = verity === undefined ? undefined : wrongVerity(dir, verity)
  if (verity !== undefined && wrong === undefined && !full) {
    if (!isBlobOf(store.layout, diffId, blob.digest))
      await checkDiffId(store, { diffId, blob }, pool)
    onVouched()
    return undefined
  }
  const stage = await store.stage()
  try {
    const target = await stageLayer(stage.dir, form)
    const result = await pool.run({
      path: store.pathOf(blob),
      prefix: createPrefix(blob.size),
      digest: blob.digest,
      size: blob.size,
      unpack: {
        target,
        diffId,
        asRoot: getuid?.() === 0,
        verity: verity !== undefined && (await verityObstacle(store)) === undefined,
      },
    })
    if (result === undefined) return undefined
    await finishStagedLayer(stage.dir, result, blob.digest)
    const why = wrong ?? (await difference(dir, stage.dir, form))
    if (why !== undefined && repair) await replaceWith(store, dir, stage)
    return why
  } finally {
    await stage.close()
  }
}

/** Inflates a blob. @throws DIFF_ID_MISMATCH when that makes another layer; COMPRESSION_INVALID */
export async function checkDiffId(
  store: Store,
  { diffId, blob }: NamedLayer,
  pool: WorkerPool,
): Promise<void> {
  const { digest, size } = blob
  const unpack = { target: undefined, diffId, asRoot: false }
  await pool.run({ path: store.pathOf(blob), prefix: createPrefix(size), digest, size, unpack })
}

/** What is known of a layer; one whose record is damaged is made anew in the form that needs nothing. */
function recordOf(store: Store, diffId: Digest): Pick<LayerRecord, 'form' | 'verity'> | undefined {
  try {
    return readLayer(store.layout, diffId)
  } catch (error) {
    if (isDrayError(error, 'STORE_FAILED')) return { form: 'dir' }
    throw error
  }
}

async function difference(
  dir: string,
  fresh: string,
  form: LayerFormName,
): Promise<string | undefined> {
  const parts =
    form === 'dir' ? (['record', 'tree'] as const) : (['record', 'tar', 'image'] as const)
  for (const part of parts) {
    const [path, right] = [dir, fresh].map((place) => layerParts(place)[part]) as [string, string]
    const why = await differenceAt(path, right, part, 'the blob unpacks to')
    if (why !== undefined) return why
  }
  return undefined
}

/** What is wrong with a file or a tree; undefined when it holds what the right one does, of which `source` says where it is from. */
export async function differenceAt(
  path: string,
  right: string,
  part: Part,
  source: string,
): Promise<string | undefined> {
  try {
    if ((await print(path, part)) === (await print(right, part))) return undefined
    return `${path} differs from what ${source}`
  } catch (error) {
    if (!isDrayError(error) && !isUnreadable(error)) throw error
    return `${path} cannot be read: ${errorMessage(error)}`
  }
}

type Part = 'record' | 'tree' | 'tar' | 'image'

/** A digest of a file, or of all that a tree holds. */
async function print(path: string, part: Part): Promise<string> {
  const hash = createHash('sha256')
  const bytes =
    part === 'tree'
      ? writeTar(path, { purpose: 'changes' })
      : createReadStream(path, { highWaterMark: MiB })
  for await (const chunk of bytes) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
