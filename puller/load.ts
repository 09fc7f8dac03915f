import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Digest } from '#oci/digest.ts'
import { DrayError, errorMessage, isDrayError } from '#oci/error.ts'
import { hostPlatform, type Platform } from '#oci/platform.ts'
import { fullName } from '#oci/reference.ts'
import { stageImages, type StagedImages } from './archive/stage.ts'
import { blobsOf, type WholeImage } from './archive/write.ts'
import { resolveImage } from './image/resolve.ts'
import { storeImage } from './image/store-image.ts'
import type { OnProgress } from './progress.ts'
import { publish } from './store/files.ts'
import type { Lease } from './store/lease.ts'
import { withRoom } from './store/no-room.ts'
import type { Store } from './store/store.ts'
import { syncFileSystem } from './sys.ts'

export interface LoadOptions {
  /** Which platform of an image to unpack. Default: this machine's. */
  readonly platform?: Platform | undefined
  /** Whether layers are unpacked too, ready to run. Default true. */
  readonly unpack?: boolean | undefined
  readonly onProgress?: OnProgress | undefined
  readonly signal?: AbortSignal | undefined
}

/** An image that is in the store now. */
export interface LoadedImage {
  /** Undefined for one that had no name in the archive. */
  readonly name: string | undefined
  readonly digest: Digest
}

/**
 * Takes images out of an archive, docker-archive or oci-archive, gzip, zstd or plain, or out of an OCI image layout in a
 * directory, and names them as they are named there. Nothing is visible before every byte is verified.
 *
 * @param from a path, or the archive itself
 * @throws USAGE when it can't be read, ARCHIVE_INVALID, CONTENT_MISMATCH, DIFF_ID_MISMATCH, LAYER_INVALID, TAR_INVALID,
 *   COMPRESSION_INVALID, STORE_FAILED
 */
export async function loadImages(
  store: Store,
  from: string | AsyncIterable<Buffer>,
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  return await withRoom(store.layout.root, () => loadInto(store, from, options))
}

async function loadInto(
  store: Store,
  from: string | AsyncIterable<Buffer>,
  options: LoadOptions,
): Promise<LoadedImage[]> {
  const stage = await store.stage()
  const lease = await store.lease()
  try {
    const staged = await stageImages(from, stage.dir, options)
    if (staged.images.length === 0)
      throw new DrayError('ARCHIVE_INVALID', 'the archive is whole, but names no image')
    await lease.keep({ blobs: blobsOf(staged.images).map(({ digest }) => digest) })
    for (const image of staged.images) await unpackStaged(store, staged, image, lease, options)
    await publishBlobs(store, staged)
    const loaded: LoadedImage[] = []
    for (const { name: given, descriptor } of staged.images) {
      const name = given === undefined ? undefined : fullName(given)
      await store.name({ name, descriptor })
      loaded.push({ name, digest: descriptor.digest })
    }
    return loaded
  } catch (error) {
    options.signal?.throwIfAborted()
    throw isDrayError(error) ? error : failed(store, error)
  } finally {
    lease.close()
    await stage.close()
  }
}

/** Unpacks the layers of an image for one platform, if the archive has that, out of the archive's blobs. */
async function unpackStaged(
  store: Store,
  { source }: StagedImages,
  { descriptor }: WholeImage,
  lease: Lease,
  options: LoadOptions,
): Promise<void> {
  const { platform = hostPlatform(), signal = new AbortController().signal } = options
  const { unpack = true, onProgress = () => undefined } = options
  if (!unpack) return
  const top = { descriptor, bytes: await source.readSmall(descriptor) }
  const read = (wanted: typeof descriptor) => source.readSmall(wanted)
  const image = await resolveImage({ read }, top, platform).catch((error: unknown) => {
    if (isDrayError(error, 'PLATFORM_UNKNOWN', 'LAYOUT_INVALID')) return undefined
    throw error
  })
  if (image === undefined) return
  const staged = { ...store, ...source }
  await storeImage(staged, image, { client: undefined, lease, signal, onProgress })
}

/** All together are put on the disk first, so that none is ever seen half. */
async function publishBlobs(store: Store, { source, images }: StagedImages): Promise<void> {
  const root = await open(store.layout.root, 'r')
  try {
    await syncFileSystem(root.fd)
  } finally {
    await root.close()
  }
  for (const blob of blobsOf(images)) {
    if (await store.has(blob)) continue
    await mkdir(dirname(store.pathOf(blob)), { recursive: true })
    await publish(source.pathOf(blob), store.pathOf(blob))
  }
}

function failed(store: Store, error: unknown): DrayError {
  const why = errorMessage(error)
  return new DrayError('STORE_FAILED', `cannot write to ${store.layout.root}: ${why}`, {
    cause: error,
  })
}
