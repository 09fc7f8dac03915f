import type { UploadKey } from '../blob-driver.ts'
import type { S3Context } from './append.ts'

/**
 * Ends uploads whose newest state was made before `before`, forgets those that have ended before it, and aborts
 * multipart uploads that crashed requests left unfinished.
 */
export async function expireUploads(
  { store, layout, sessions }: S3Context,
  abort: (key: UploadKey) => Promise<void>,
  before: Date,
): Promise<void> {
  const states = await store.list(layout.uploads, { limit: Number.POSITIVE_INFINITY })
  const newest = new Map<UploadKey, Date>()
  for (const state of states) {
    const { key } = layout.parseState(state.key)
    const seen = newest.get(key)
    if (seen === undefined || seen < state.modified) newest.set(key, state.modified)
  }
  for (const [key, modified] of newest) {
    if (modified > before) continue
    const session = await sessions.latest(key)
    await abort(key)
    if (session?.ended !== undefined) await store.delete([layout.state(key, session.sequence)])
  }
  for (const { key, uploadId, started } of await store.listMultiparts(layout.dataRoot)) {
    if (started <= before) await store.abortMultipart(key, uploadId)
  }
}
