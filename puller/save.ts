import { dirname } from 'node:path'
import { makeDirs } from '#oci/make-dirs.ts'
import type { Platform } from '#oci/platform.ts'
import {
  type ArchiveFormat,
  blobsOf,
  readBlob,
  readWhole,
  type WholeImage,
  writeArchive,
} from './archive/write.ts'
import { cannotWrite, replaceBy, writeOut } from './archive/write-out.ts'
import { findLocal } from './image/find-local.ts'
import { keepImage } from './image/keep.ts'
import { manifestFor } from './image/manifest-for.ts'
import { blobPath } from './store/layout.ts'
import { type NamedImage, readImageIndex, withImage, writeImageIndex } from './store/image-index.ts'
import type { Store } from './store/store.ts'

export interface SaveOptions {
  readonly format: ArchiveFormat | 'oci-dir'
  /** Saves the manifest for this platform alone. Default: all that are here. */
  readonly platform?: Platform | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes images of the local store as an archive, or into an OCI image layout, which may have others already. A file appears
 * whole or not at all.
 *
 * @param images names, digests, or the first digits of digests; those that were named keep their names
 * @param target a file, a directory for `oci-dir`, or a stream
 * @throws IMAGE_UNKNOWN, PLATFORM_UNKNOWN, USAGE when the target can't be written to, CONTENT_MISMATCH, LAYOUT_INVALID
 */
export async function saveImages(
  store: Store,
  images: readonly string[],
  target: string | NodeJS.WritableStream,
  { format, platform, signal = new AbortController().signal }: SaveOptions,
): Promise<void> {
  const lease = await store.lease()
  try {
    const local = await store.images()
    const wanted: WholeImage[] = []
    for (const text of images) {
      const { name, descriptor, manifest = descriptor } = await findLocal(store, local, text)
      await keepImage(store, lease, manifest)
      const saved = platform === undefined ? manifest : await manifestFor(store, manifest, platform)
      wanted.push(await readWhole(store, { name, descriptor: saved }))
    }
    if (format === 'oci-dir') await saveLayout(store, distinct(wanted), String(target), signal)
    else await writeOut(writeArchive(store, distinct(wanted), format), target, signal)
  } finally {
    lease.close()
  }
}

function distinct(images: readonly WholeImage[]): WholeImage[] {
  const key = ({ name, descriptor }: NamedImage) => `${name} ${descriptor.digest}`
  return [...new Map(images.map((image) => [key(image), image])).values()]
}

async function saveLayout(
  store: Store,
  images: readonly WholeImage[],
  dir: string,
  signal: AbortSignal,
): Promise<void> {
  for (const blob of blobsOf(images)) {
    const path = blobPath(dir, blob.digest)
    makeDirsOf(path, dir)
    await replaceBy(path, readBlob(store, blob), signal)
  }
  let list: readonly NamedImage[] = await readImageIndex(dir)
  for (const { name, descriptor } of images) list = withImage(list, { name, descriptor })
  await writeImageIndex(dir, list).catch(cannotWrite(dir))
}

function makeDirsOf(path: string, dir: string): void {
  try {
    makeDirs(dirname(path))
  } catch (error) {
    cannotWrite(dir)(error)
  }
}
