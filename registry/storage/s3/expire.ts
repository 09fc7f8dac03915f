import type { UploadKey } from '../blob-driver.ts'
import type { S3Context } from './append.ts'
import type { MultipartEntry } from './multiparts.ts'

/**
 * Ends uploads whose newest state was made before `before`, forgets those that have ended before it, and aborts
 * multipart uploads that crashed requests left unfinished. A request that is under way shows by its newest part.
 */
export async function expireUploads(
  context: S3Context,
  expire: (key: UploadKey) => Promise<void>,
  before: Date,
): Promise<void> {
  const { store, layout } = context
  const active = new Set<UploadKey>()
  for (const multipart of await store.listMultiparts(layout.dataRoot)) {
    const isOld = (await lastChange(context, multipart, before)) <= before
    if (isOld) await store.abortMultipart(multipart.key, multipart.uploadId)
    else active.add(layout.uploadOf(multipart.key))
  }
  const states = await store.list(layout.uploads, { limit: Number.POSITIVE_INFINITY })
  const newest = new Map<UploadKey, Date>()
  for (const state of states) {
    const { key } = layout.parseState(state.key)
    const seen = newest.get(key)
    if (seen === undefined || seen < state.modified) newest.set(key, state.modified)
  }
  for (const [key, modified] of newest) {
    if (modified <= before && !active.has(key)) await expire(key)
  }
}

async function lastChange({ store }: S3Context, multipart: MultipartEntry, before: Date) {
  const { key, uploadId, started } = multipart
  if (started > before) return started
  return (await store.newestPart(key, uploadId)) ?? started
}
