import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import { formatReference, parseReference, withDefaultTag } from '#oci/reference.ts'
import { type ArchiveFormat, readWhole, writeArchive } from '../archive/write.ts'
import { writeOut } from '../archive/write-out.ts'
import type { PlaceOnDisk } from '../image/local-place.ts'
import { openLayoutStore } from '../store/layout-store.ts'
import type { Store } from '../store/store.ts'
import type { CopyOptions, CopyResult } from './copy.ts'
import type { ImageSource } from './source.ts'
import { copyToStore } from './to-store.ts'

/**
 * Copies an image into an archive, which replaces the file that was there, whole or not at all. Its blobs are brought into the
 * local store's directory first, where nobody sees them: an archive has one order, and the network has none.
 *
 * @throws what {@link copyToStore} throws; USAGE when the file can't be written, or the format has no place for what is copied
 */
export async function copyToArchive(
  source: ImageSource,
  { kind, path, name }: PlaceOnDisk<ArchiveFormat>,
  local: Store,
  options: CopyOptions,
): Promise<CopyResult> {
  if (kind === 'docker-archive' && options.withReferrers)
    throw new DrayError('USAGE', 'a docker-archive has no place for referrers: write oci-archive:')
  const called = kind === 'docker-archive' && name !== undefined ? dockerName(name) : name
  const stage = await local.stage()
  try {
    const { store } = await openLayoutStore(join(stage.dir, 'layout'))
    const target = { store, name: called, nameOfReferrers: (tag: string) => tag }
    const result = await copyToStore(source, { ...target, keepsReplaced: false }, options)
    const images = await Promise.all((await store.images()).map((image) => readWhole(store, image)))
    const signal = options.signal ?? new AbortController().signal
    await writeOut(writeArchive(store, images, kind), path, signal)
    return { ...result, name: `${kind}:${path}${called === undefined ? '' : `:${called}`}` }
  } finally {
    await stage.close()
  }
}

function dockerName(name: string): string {
  const reference = withDefaultTag(parseReference(name))
  if (reference.digest === undefined) return formatReference(reference)
  throw new DrayError(
    'USAGE',
    'an image of an archive has a tag: write docker-archive:FILE:NAME:TAG',
  )
}
