import type { Ingest } from '../store/ingest.ts'
import type { LayerTask } from './store-layers.ts'

/** Opens the ingest of a blob, if it needs one; `onWait` is called when another process has it. */
export type OpenIngest = (task: LayerTask, onWait: () => void) => Promise<Ingest | undefined>

/**
 * Opens the ingests of an image one after the other, in the order of their digests: a pull that waits for one holds none that
 * comes later, so two pulls of the same layers never wait for each other.
 *
 * @returns what comes of each, once all are open or one has to be waited for; all settle
 */
export async function openIngests(
  tasks: readonly LayerTask[],
  open: OpenIngest,
): Promise<ReadonlyMap<LayerTask, Promise<Ingest | undefined>>> {
  const ready = Promise.withResolvers<void>()
  const ingests = new Map<LayerTask, Promise<Ingest | undefined>>()
  let previous: Promise<unknown> = Promise.resolve()
  for (const task of tasks.toSorted((a, b) => (a.blob.digest < b.blob.digest ? -1 : 1))) {
    const ingest = previous.then(() => open(task, ready.resolve))
    ingest.catch(() => ready.resolve())
    ingests.set(task, ingest)
    previous = ingest
  }
  previous.then(
    () => ready.resolve(),
    () => ready.resolve(),
  )
  await ready.promise
  return ingests
}
