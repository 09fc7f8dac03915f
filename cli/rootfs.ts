import { isDrayError } from '#oci/error.ts'
import type { Platform } from '#oci/platform.ts'
import { parseReference } from '#oci/reference.ts'
import type { Rootfs } from '#oci/rootfs.ts'
import type { Store } from '#puller/index.ts'
import type { TransferOptions } from './commands/options.ts'
import { interruptible } from './interrupt.ts'
import { createProgressView } from './output/progress.ts'
import { registryAccess } from './registry-access.ts'
import { openLocalStore } from './store.ts'

export interface ImageOptions extends TransferOptions {
  readonly platform?: Platform
  readonly pull?: string
}

/** An image from the local store, or from its registry when it isn't there, as `--pull` says. */
export async function openRootfs(image: string, options: ImageOptions): Promise<Rootfs> {
  const reference = parseReference(image)
  const store = await openLocalStore(options)
  return await interruptible((signal) => prepare(store, reference, options, signal))
}

async function prepare(
  store: Store,
  reference: ReturnType<typeof parseReference>,
  options: ImageOptions,
  signal: AbortSignal,
): Promise<Rootfs> {
  const { prepareRootfs, pullImage } = await import('#puller/index.ts')
  const { platform, pull = 'missing' } = options
  if (pull !== 'always') {
    try {
      return await prepareRootfs(store, reference, { platform, signal })
    } catch (error) {
      if (pull === 'never' || !isDrayError(error, 'IMAGE_UNKNOWN')) throw error
    }
  }
  const view = createProgressView(options.quiet ? 'none' : options.progress, process.stderr)
  const access = await registryAccess(options, reference.registry)
  await pullImage(store, reference, {
    ...access,
    platform,
    onProgress: view.show,
    signal,
  }).finally(view.end)
  return await prepareRootfs(store, reference, { platform, signal })
}
