import { DrayError, isDrayError } from '#oci/error.ts'
import { formatPlatform, hostPlatform, isForeign, type Platform } from '#oci/platform.ts'
import { isImageId, parseReference } from '#oci/reference.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { Lease, Store } from '#puller/index.ts'
import type { TransferOptions } from './commands/options.ts'
import { interruptible } from './interrupt.ts'
import { say } from './output/print.ts'
import { createProgressView } from './output/progress.ts'
import { registryAccess } from './registry-access.ts'
import { openLocalStore } from './store.ts'

export interface ImageOptions extends TransferOptions {
  readonly platform?: Platform
  readonly pull?: string
}

/**
 * Works with an image from the local store, or from its registry when it isn't there, as `--pull` says. Until the work is done
 * none of it is garbage, whether a container has it or not.
 */
export async function withRootfs<T>(
  image: string,
  options: ImageOptions,
  work: (rootfs: Rootfs) => Promise<T>,
): Promise<T> {
  const store = await openLocalStore(options)
  const lease = await store.lease()
  try {
    const rootfs = await interruptible((signal) =>
      prepare(store, image, { ...options, lease, signal }),
    )
    if (options.platform === undefined) warnIfForeign(image, rootfs)
    return await work(rootfs)
  } finally {
    lease.close()
  }
}

function warnIfForeign(image: string, { config }: Rootfs): void {
  const host = hostPlatform()
  if (!isForeign(host, config)) return
  const [actual, here] = [config, host].map(formatPlatform)
  say(`warning: ${image} is for ${actual}, this machine is ${here}: it needs an emulator to run`)
}

async function prepare(
  store: Store,
  image: string,
  options: ImageOptions & { readonly lease: Lease; readonly signal: AbortSignal },
): Promise<Rootfs> {
  const { prepareRootfs } = await import('#puller/image/rootfs.ts')
  const { platform, lease, signal } = options
  const pull = options.pull ?? 'missing'
  const isId = isImageId(image)
  if (isId && pull === 'always')
    throw new DrayError(
      'USAGE',
      'an id can be pulled from nowhere: name the image, or leave out --pull',
    )
  if (pull !== 'always') {
    try {
      return await prepareRootfs(store, image, { platform, lease, signal })
    } catch (error) {
      if (pull === 'never' || isId || !isDrayError(error, 'IMAGE_UNKNOWN')) throw error
    }
  }
  const reference = parseReference(image)
  const { pullImage } = await import('#puller/pull.ts')
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const access = await registryAccess(options, reference.registry)
  await pullImage(store, reference, {
    ...access,
    platform,
    onProgress: view.show,
    signal,
  }).finally(view.end)
  return await prepareRootfs(store, image, { platform, lease, signal })
}
