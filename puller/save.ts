import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { DrayError, errorMessage, isDrayError, isErrno } from '#oci/error.ts'
import {
  type ArchiveFormat,
  blobsOf,
  readBlob,
  readWhole,
  type WholeImage,
  writeArchive,
} from './archive/write.ts'
import { findLocal } from './image/find-local.ts'
import { keepImage } from './image/keep.ts'
import { blobPath } from './store/layout.ts'
import { type NamedImage, readImageIndex, withImage, writeImageIndex } from './store/image-index.ts'
import type { Store } from './store/store.ts'

export interface SaveOptions {
  readonly format: ArchiveFormat | 'oci-dir'
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes images of the local store as an archive, or into an OCI image layout, which may have others already. A file appears
 * whole or not at all.
 *
 * @param images names, digests, or the first digits of digests; those that were named keep their names
 * @param target a file, a directory for `oci-dir`, or a stream
 * @throws IMAGE_UNKNOWN, USAGE when the target can't be written to, CONTENT_MISMATCH, LAYOUT_INVALID
 */
export async function saveImages(
  store: Store,
  images: readonly string[],
  target: string | NodeJS.WritableStream,
  { format, signal = new AbortController().signal }: SaveOptions,
): Promise<void> {
  const lease = await store.lease()
  try {
    const local = await store.images()
    const wanted: WholeImage[] = []
    for (const text of images) {
      const { name, descriptor } = findLocal(local, text)
      await keepImage(store, lease, descriptor)
      wanted.push(await readWhole(store, { name, descriptor }))
    }
    if (format === 'oci-dir') await saveLayout(store, distinct(wanted), String(target), signal)
    else await saveArchive(writeArchive(store, distinct(wanted), format), target, signal)
  } finally {
    lease.close()
  }
}

function distinct(images: readonly WholeImage[]): WholeImage[] {
  const key = ({ name, descriptor }: NamedImage) => `${name} ${descriptor.digest}`
  return [...new Map(images.map((image) => [key(image), image])).values()]
}

async function saveArchive(
  archive: AsyncIterable<Buffer>,
  target: string | NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<void> {
  if (typeof target !== 'string') return await pipeline(archive, target, { signal, end: false })
  if (!(await isFileOrNothing(target))) {
    return await pipeline(archive, createWriteStream(target), { signal }).catch(cannotWrite(target))
  }
  await replaceBy(target, archive, signal)
}

async function saveLayout(
  store: Store,
  images: readonly WholeImage[],
  dir: string,
  signal: AbortSignal,
): Promise<void> {
  for (const blob of blobsOf(images)) {
    const path = blobPath(dir, blob.digest)
    await mkdir(dirname(path), { recursive: true }).catch(cannotWrite(dir))
    await replaceBy(path, readBlob(store, blob), signal)
  }
  let list: readonly NamedImage[] = await readImageIndex(dir)
  for (const { name, descriptor } of images) list = withImage(list, { name, descriptor })
  await writeImageIndex(dir, list).catch(cannotWrite(dir))
}

/** A device or a pipe is written to; anything else is replaced. */
async function isFileOrNothing(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true
    throw cannotWrite(path)(error)
  }
}

async function replaceBy(
  path: string,
  bytes: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  try {
    await pipeline(bytes, createWriteStream(temporary, { flags: 'wx', flush: true }), { signal })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    signal.throwIfAborted()
    throw cannotWrite(path)(error)
  }
}

function cannotWrite(path: string): (error: unknown) => never {
  return (error) => {
    if (isDrayError(error)) throw error
    throw new DrayError('USAGE', `cannot write ${path}: ${errorMessage(error)}`, { cause: error })
  }
}
