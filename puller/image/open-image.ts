import { join } from 'node:path'
import { DrayError } from '#oci/error.ts'
import { parseReference, type Reference } from '#oci/reference.ts'
import type { CompressedBefore } from '../archive/docker.ts'
import { onlyImage, openArchive } from '../archive/stage.ts'
import type { LocalImage } from '../push.ts'
import { openBlobs } from '../store/blobs.ts'
import { exists } from '../store/files.ts'
import { findCompressed, type IsHeld, keepCompressed } from '../store/compressed.ts'
import { findImage, readImageIndex } from '../store/image-index.ts'
import type { Store } from '../store/store.ts'
import type { LayerCompression } from './compression.ts'
import { findLocal } from './find-local.ts'
import { keepImage } from './keep.ts'
import { type LocalPlace, parseLocalPlace } from './local-place.ts'

/** An image that may need cleaning up after. */
export interface OpenedImage {
  readonly image: LocalImage
  close(): Promise<void>
}

export interface OpenOptions {
  /** How the layers of docker's archives are compressed, which aren't. Default: gzip. */
  readonly compression?: LayerCompression | undefined
  /** Whether a blob is where the image goes: a layer that was compressed before is left out of the image then. */
  readonly isHeld?: IsHeld | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens an image by what people type: a name or digest of the local store, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]` or
 * `docker-archive:FILE[:NAME]`.
 *
 * @throws IMAGE_UNKNOWN, LAYOUT_INVALID, ARCHIVE_INVALID, USAGE
 */
export async function openImage(
  store: Store,
  text: string,
  options: OpenOptions = {},
): Promise<OpenedImage> {
  return await openAt(async () => store, placeOf(text), options)
}

/**
 * {@link openImage}, by a place that is parsed already. The store is asked for only when it is needed.
 *
 * @throws IMAGE_UNKNOWN, LAYOUT_INVALID, ARCHIVE_INVALID
 */
export async function openAt(
  openStore: () => Promise<Store>,
  place: LocalPlace,
  options: OpenOptions = {},
): Promise<OpenedImage> {
  if (place.kind === 'store') return await openStored(await openStore(), place.text)
  const { path, name } = place
  if (place.kind === 'oci') {
    const images = await readImageIndex(path)
    if (images.length === 0 && !(await exists(join(path, 'index.json'))))
      throw new DrayError('USAGE', `${path} has no OCI image layout: there is no index.json in it`)
    const { descriptor } = findImage(images, name, path)
    return { image: { source: openBlobs(path), descriptor }, close: async () => undefined }
  }
  const store = await openStore()
  const stage = await store.stage()
  try {
    const { layout } = store
    const known: CompressedBefore = {
      find: (diffId, compression) => findCompressed(layout, diffId, compression, options.isHeld),
      keep: (diffId, compression, blob) => keepCompressed(layout, diffId, compression, blob),
    }
    const staged = await openArchive(path, stage.dir, { ...options, name, known })
    const { descriptor } = onlyImage(staged, path, name)
    return { image: { source: staged.source, descriptor }, close: () => stage.close() }
  } catch (error) {
    await stage.close()
    throw error
  }
}

async function openStored(store: Store, text: string): Promise<OpenedImage> {
  const lease = await store.lease()
  const close = async () => lease.close()
  try {
    const found = await findLocal(store, await store.images(), text)
    const descriptor = found.manifest ?? found.descriptor
    await keepImage(store, lease, descriptor)
    return { image: { source: store, descriptor }, close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Where a push goes: `target`, or the image's own name.
 *
 * @throws USAGE when an image on disk has no target; REFERENCE_INVALID
 */
export function pushTarget(image: string, target: string | undefined): Reference {
  if (target !== undefined) return parseReference(target.replace(/^docker:\/\//, ''))
  const place = placeOf(image)
  if (place.kind === 'store') return parseReference(place.text)
  throw new DrayError('USAGE', `say where ${image} goes: dray push ${image} REGISTRY/NAME[:TAG]`)
}

function placeOf(text: string): LocalPlace {
  return parseLocalPlace(text) ?? { kind: 'store', text }
}
