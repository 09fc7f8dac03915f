import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage, isErrno } from '#oci/error.ts'
import { parseReference } from '#oci/reference.ts'
import { fetchImage, type PullOptions } from '../pull.ts'
import { exists } from '../store/files.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import type { NeededBlob } from './documents.ts'

/**
 * Fetches blobs again from where their images were pulled, by digest, so that it doesn't matter what the tags mean by now. What
 * can't be fetched stays as it is.
 *
 * @returns why, for those that couldn't be
 */
export async function fetchAgain(
  store: Store,
  lease: Lease,
  damaged: readonly NeededBlob[],
  options: PullOptions,
): Promise<ReadonlyMap<Digest, string>> {
  const failed = new Map<Digest, string>()
  const stage = await store.stage()
  try {
    await mkdir(stage.dir, { mode: 0o700 })
    const aside = (blob: NeededBlob) => join(stage.dir, blob.descriptor.digest)
    for (const blob of damaged) await move(store.pathOf(blob.descriptor), aside(blob))
    for (const manifest of new Set(damaged.map((blob) => blob.manifest))) {
      const blobs = damaged.filter((blob) => blob.manifest === manifest)
      const why = await tryFetch(store, lease, blobs[0], options)
      if (why === undefined) continue
      for (const blob of blobs) {
        const path = store.pathOf(blob.descriptor)
        if (await exists(path)) continue
        await move(aside(blob), path)
        failed.set(blob.descriptor.digest, why)
      }
    }
    return failed
  } finally {
    await stage.close()
  }
}

async function tryFetch(
  store: Store,
  lease: Lease,
  blob: NeededBlob | undefined,
  options: PullOptions,
): Promise<string | undefined> {
  if (blob === undefined) return undefined
  const { image, manifest } = blob
  try {
    if (image.name === undefined)
      throw new DrayError('IMAGE_UNKNOWN', 'the image has no name that says where it came from')
    const { registry, repository } = parseReference(image.name)
    const wanted = { registry, repository, digest: manifest }
    await fetchImage(store, lease, wanted, { ...options, unpack: false })
    return undefined
  } catch (error) {
    options.signal?.throwIfAborted()
    return errorMessage(error)
  }
}

async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error
  })
}
