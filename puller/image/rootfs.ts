import { join } from 'node:path'
import { chainId } from '#oci/chain-id.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { DrayError } from '#oci/error.ts'
import type { ImageConfig } from '#oci/image-config.ts'
import { formatPlatform, hostPlatform, isForeign, type Platform } from '#oci/platform.ts'
import { formatReference, type Reference } from '#oci/reference.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import { exists } from '../store/files.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { findLocal } from './find-local.ts'
import { visibleLayers } from './fixup.ts'
import { resolveImage } from './resolve.ts'
import { isReady, keepResolved } from './resolved.ts'

export interface PrepareOptions {
  /** Keeps the image also after this, until a container has it. */
  readonly lease?: Lease | undefined
  /** What the image must be for. Default: this machine's, if it can be had. */
  readonly platform?: Platform | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes an image of the local store ready to run: unpacks what isn't unpacked yet.
 *
 * @param image a reference, or what {@link findLocal} finds it by
 * @returns what to stack, and how to run it. Lower directories may have to be mounted: {@link holdLayers} does that.
 * @throws IMAGE_UNKNOWN, PLATFORM_UNKNOWN, LAYOUT_INVALID, CONTENT_MISMATCH, and what unpacking throws
 */
export async function prepareRootfs(
  store: Store,
  image: Reference | string,
  options: PrepareOptions = {},
): Promise<Rootfs> {
  const lease = options.lease ?? (await store.lease())
  try {
    const text = typeof image === 'string' ? image : formatReference(image)
    return await prepareLeased(store, text, { ...options, lease })
  } finally {
    if (options.lease === undefined) lease.close()
  }
}

async function prepareLeased(
  store: Store,
  text: string,
  options: PrepareOptions & { readonly lease: Lease },
): Promise<Rootfs> {
  const { lease, platform = hostPlatform(), signal = new AbortController().signal } = options
  const found = await findLocal(store, await store.images(), text)
  const descriptor = found.manifest ?? found.descriptor
  const read = async (wanted: Descriptor) => {
    await lease.keep({ blobs: [wanted.digest] })
    return await store.readSmall(wanted)
  }
  const top = { descriptor, bytes: await read(descriptor) }
  const image = await resolveImage({ read }, top, platform)
  if (image.config === undefined) {
    throw new DrayError(
      'IMAGE_CONFIG_INVALID',
      `${text} is an artifact of type ${image.manifest.config.mediaType}: it can't be run`,
    )
  }
  if (options.platform !== undefined && image.manifestDescriptor.digest === descriptor.digest)
    checkPlatform(text, image.config, options.platform)
  await keepResolved(lease, image)
  if (!(await isReady(store, image))) {
    const { storeImage } = await import('./store-image.ts')
    const onProgress = () => undefined
    await storeImage(store, image, { client: undefined, lease, signal, onProgress })
  }
  const lowerDirs = await stackLayers(store, image.config.rootfs.diff_ids)
  return { manifestDigest: image.manifestDescriptor.digest, config: image.config, lowerDirs }
}

/** As docker: who asks for a platform doesn't get another one, unless an index says it is that. */
function checkPlatform(image: string, config: ImageConfig, platform: Platform): void {
  if (!isForeign(platform, config)) return
  throw new DrayError(
    'PLATFORM_UNKNOWN',
    `${image} is for ${formatPlatform(config)}, not for ${formatPlatform(platform)}: leave out --platform to run it all the same, ` +
      'or ask the registry for another one with --pull always',
  )
}

/** The directories that overlay stacks, lowest first. */
async function stackLayers(store: Store, diffIds: readonly Digest[]): Promise<string[]> {
  const trees = (await visibleLayers(store, diffIds)).map(({ dir }) => dir)
  const chain = chainId(diffIds)
  const fixup = chain === undefined ? undefined : join(store.layout.fixup(chain), 'tree')
  return fixup !== undefined && (await exists(fixup)) ? [...trees, fixup] : trees
}
