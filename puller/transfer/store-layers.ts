import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError, isDrayError } from '#oci/error.ts'
import { blobReporter, type OnProgress } from '../progress.ts'
import type { RepositoryClient } from '../registry/client.ts'
import type { DirectReader } from '../registry/direct.ts'
import { publish } from '../store/files.ts'
import { Ingest } from '../store/ingest.ts'
import { chooseLayerForm } from '../store/layer-form.ts'
import { givesVerity } from '../store/layer-verity.ts'
import {
  addBlobOf,
  finishStagedLayer,
  hasLayer,
  isBlobOf,
  publishLayer,
  stageLayer,
} from '../store/layers.ts'
import { removeFreeIngest } from '../store/stale-ingests.ts'
import type { Stage, Store } from '../store/store.ts'
import { startSyncing } from '../store/sync.ts'
import type { Connections } from './connections.ts'
import { fetchBlob } from './fetch-blob.ts'
import { openIngests } from './open-ingests.ts'
import { createPrefix } from './prefix.ts'
import type { RetryOptions } from './retry.ts'
import { settleAll } from './settle.ts'
import type { WorkerPool } from './worker-pool.ts'

/** A blob that must be in the store, and the layer it must unpack to, if it is one. */
export interface LayerTask {
  readonly blob: Descriptor
  readonly diffId: Digest | undefined
  /** What it is called when progress is told. Default `layer`. */
  readonly kind?: 'layer' | 'config' | undefined
}

export interface StoreLayersOptions {
  /** Undefined when every blob is in the store. */
  readonly client: RepositoryClient | undefined
  readonly pool: WorkerPool
  readonly connections: Connections
  readonly direct: DirectReader
  /** Whether layers keep their owners and devices. */
  readonly asRoot: boolean
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
  readonly retry?: Omit<RetryOptions, 'signal'> | undefined
  readonly debug?: ((message: string) => void) | undefined
}

/** What is verified, but not visible yet. */
interface Verified {
  readonly task: LayerTask
  /** Whether the layer is unpacked, and its blob was not known to be that before. */
  readonly isNewBlobOf: boolean
  readonly ingest: Ingest | undefined
  readonly stage: Stage | undefined
  readonly transferred: number
}

/**
 * Brings layers into the store, all at once. When the last one is verified everything is synced together and then
 * made visible, so that no crash leaves a blob or a layer that is visible but not whole.
 *
 * @returns bytes fetched
 */
export async function storeLayers(
  store: Store,
  tasks: readonly LayerTask[],
  options: StoreLayersOptions,
): Promise<number> {
  const opened: (Ingest | Stage)[] = []
  const stop = new AbortController()
  const work = { ...options, opened, signal: AbortSignal.any([options.signal, stop.signal]) }
  const syncing = startSyncing(store.layout.root)
  const open = new Set<LayerTask>()
  const ingests = await openIngests(tasks, async (task, onWait) => {
    const ingest = await openIngest(store, task, work, onWait)
    open.add(task)
    return ingest
  })
  try {
    const turns = inTurn(tasks.filter((task) => open.has(task)))
    const verified = await settleAll(work.signal, (signal) =>
      tasks.map(async (task) => {
        const turn = turns.get(task)
        const ingest = await ingests.get(task)
        return await verifyLayer(store, task, ingest, { ...work, signal, turn }).finally(turn?.end)
      }),
    )
    if (opened.length > 0) {
      options.onProgress({ type: 'saving' })
      await syncing.finish()
    }
    for (const layer of verified) await publishVerified(store, layer)
    return verified.reduce((sum, { transferred }) => sum + transferred, 0)
  } catch (error) {
    if (isImageAtFault(error))
      for (const thing of opened) if (thing instanceof Ingest) await thing.remove()
    throw error
  } finally {
    stop.abort()
    await syncing.stop()
    await Promise.allSettled(ingests.values())
    for (const thing of opened) await thing.close()
  }
}

/** When a layer begins to transfer: after those before it, however long each takes to get ready. */
interface Turn {
  readonly come: Promise<void>
  /** Lets the next one begin. */
  readonly end: () => void
}

function inTurn(tasks: readonly LayerTask[]): ReadonlyMap<LayerTask, Turn> {
  let come = Promise.resolve()
  const turns = tasks.map((task) => {
    const next = Promise.withResolvers<void>()
    const turn = { come, end: next.resolve }
    come = next.promise
    return [task, turn] as const
  })
  return new Map(turns)
}

/** Whether the next pull would fail on the same bytes. Anything else is worth going on from. */
export function isImageAtFault(error: unknown): boolean {
  const codes = [
    'CONTENT_MISMATCH',
    'DIFF_ID_MISMATCH',
    'COMPRESSION_INVALID',
    'TAR_INVALID',
    'LAYER_INVALID',
  ] as const
  return isDrayError(error, ...codes) && !error.retryable
}

interface Work extends StoreLayersOptions {
  /** What must be closed in the end, whatever happens. */
  readonly opened: (Ingest | Stage)[]
  /** Undefined for a layer that another process had: it begins when it can. */
  readonly turn?: Turn | undefined
}

/** Opens the ingest of a blob that isn't there, waiting while another process has it. */
async function openIngest(
  store: Store,
  task: LayerTask,
  work: Work,
  onWait: () => void,
): Promise<Ingest | undefined> {
  const { blob } = task
  const report = reporter(task, work.onProgress)
  report('waiting', 0)
  if (await store.has(blob)) {
    // A pull may have been killed right after it moved the blob into place.
    await removeFreeIngest(store.layout.ingest(blob.digest).dir)
    return undefined
  }
  if (work.client === undefined) {
    throw new DrayError(
      'LAYOUT_INVALID',
      `the local store lacks blob ${blob.digest}: pull the image again`,
    )
  }
  const onBytes = (present: number) => report('transferring', present)
  const { signal } = work
  const ingest = await Ingest.open(store.layout.ingest(blob.digest), blob, {
    signal,
    onWait,
    onBytes,
  })
  work.opened.push(ingest)
  // Whoever had it before may have done all the work.
  if (!(await store.has(blob))) return ingest
  await ingest.remove()
  return undefined
}

/** Fetches a blob if it has an ingest, verifying and unpacking it while it arrives. */
async function verifyLayer(
  store: Store,
  task: LayerTask,
  ingest: Ingest | undefined,
  work: Work,
): Promise<Verified> {
  const { blob, diffId } = task
  const report = reporter(task, work.onProgress)
  const needsTree = diffId !== undefined && !(await hasLayer(store.layout, diffId))
  const isNewBlobOf =
    diffId !== undefined && !needsTree && !isBlobOf(store.layout, diffId, blob.digest)
  if (ingest === undefined && !needsTree && !isNewBlobOf) {
    report('exists', blob.size)
    return { task, isNewBlobOf, ingest, stage: undefined, transferred: 0 }
  }
  const openStage = async () => {
    const stage = needsTree ? await store.stage() : undefined
    if (stage !== undefined) work.opened.push(stage)
    return stage
  }
  let resumed = ingest?.presentBytes ?? 0
  let stage = await openStage()
  let transferred = ingest === undefined ? 0 : blob.size - resumed
  for (let isWhole = false; !isWhole; ) {
    try {
      await transferAndUnpack(store, task, { ...work, isNewBlobOf, ingest, stage })
      isWhole = true
    } catch (error) {
      if (!isDamage(error)) throw error
      if (ingest === undefined) throw damagedHere(blob, error)
      // What an earlier pull left may have been lost with the power, and a mirror may be wrong: there is another way then.
      if (work.client?.distrust?.(blob.digest) !== true && resumed === 0) throw error
      work.debug?.(`${blob.digest}: it is damaged and fetched again`)
      resumed = 0
      ingest.restart()
      stage = await openStage()
      transferred = blob.size
    }
  }
  report(transferred === 0 ? 'exists' : 'done', blob.size)
  return { task, isNewBlobOf, ingest, stage, transferred }
}

/** Whether all bytes came, but are not those of the digest. */
function isDamage(error: unknown): boolean {
  return isDrayError(error, 'CONTENT_MISMATCH') && !error.retryable
}

function damagedHere({ digest }: Descriptor, cause: unknown): DrayError {
  return new DrayError(
    'CONTENT_MISMATCH',
    `blob ${digest} of the local store is damaged: dray system check --repair fetches it again`,
    { cause },
  )
}

interface LayerWork extends Work, Pick<Verified, 'isNewBlobOf'> {
  readonly ingest: Ingest | undefined
  readonly stage: Stage | undefined
}

async function transferAndUnpack(
  store: Store,
  { blob, diffId }: LayerTask,
  work: LayerWork,
): Promise<void> {
  const { isNewBlobOf, ingest, stage, client } = work
  const stop = new AbortController()
  const signal = AbortSignal.any([work.signal, stop.signal])
  const unpack =
    diffId === undefined || (stage === undefined && !isNewBlobOf)
      ? undefined
      : { ...(await targetOf(store, stage)), diffId, asRoot: work.asRoot }
  await work.turn?.come
  const fetching =
    ingest === undefined || client === undefined
      ? Promise.resolve()
      : fetchBlob(client, blob, ingest, { ...work, signal })
  const verifying = work.pool.run({
    path: ingest?.path ?? store.pathOf(blob),
    prefix: ingest?.prefix ?? createPrefix(blob.size),
    digest: blob.digest,
    size: blob.size,
    unpack,
  })
  work.turn?.end()
  // The one that fails first is the reason; the other one only follows.
  const failures: unknown[] = []
  const [, tree] = await Promise.all([
    fetching.catch((error: unknown) => {
      failures.push(error)
      ingest?.abandon()
    }),
    verifying.catch((error: unknown) => {
      failures.push(error)
      stop.abort(error)
      return undefined
    }),
  ])
  if (failures.length > 0) throw failures[0]
  if (stage !== undefined && tree !== undefined)
    await finishStagedLayer(stage.dir, tree, blob.digest)
}

async function targetOf(store: Store, stage: Stage | undefined) {
  if (stage === undefined) return { target: undefined }
  const { form } = await chooseLayerForm(store)
  return { target: await stageLayer(stage.dir, form), verity: await givesVerity(store) }
}

async function publishVerified(
  store: Store,
  { task, isNewBlobOf, ingest, stage }: Verified,
): Promise<void> {
  if (ingest !== undefined) {
    await publish(ingest.path, store.pathOf(task.blob))
    await ingest.remove()
  }
  if (stage !== undefined && task.diffId !== undefined) {
    await publishLayer(store, task.diffId, stage)
  }
  if (isNewBlobOf && task.diffId !== undefined)
    await addBlobOf(store.layout, task.diffId, task.blob.digest)
}

function reporter({ blob, kind = 'layer' }: LayerTask, onProgress: OnProgress) {
  const report = blobReporter(onProgress, blob, kind)
  return (state: 'waiting' | 'transferring' | 'done' | 'exists', bytes: number) =>
    report(state === 'transferring' && bytes === blob.size ? 'finishing' : state, bytes)
}
