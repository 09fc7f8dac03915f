import { layoutSource } from './from-layout.ts'
import { readReferrers } from './referrers.ts'
import type { ImageSource } from './source.ts'
import { nameReferrers, type StoreTarget, type StoreTreesOptions, storeTrees } from './to-store.ts'
import { readImageTree } from './tree.ts'

/**
 * Brings into a store what else there is of an image of which one platform is there: its other platforms, what refers to it,
 * or both.
 *
 * @returns bytes that were transferred
 * @throws IMAGE_UNKNOWN, CONTENT_MISMATCH, REGISTRY_UNREACHABLE, REGISTRY_FAILED, STORE_FAILED
 */
export async function storeRest(
  source: ImageSource,
  target: Pick<StoreTarget, 'store' | 'nameOfReferrers'>,
  options: StoreTreesOptions,
): Promise<number> {
  const { store } = target
  const { allPlatforms = false, withReferrers = false, lease, signal } = options
  if (!allPlatforms && !withReferrers) return 0
  const image = allPlatforms
    ? await readImageTree(source, source.top, { whole: true, signal })
    : await readImageTree(await layoutSource(store, source.top.descriptor), source.top, { signal })
  const referrers = withReferrers ? await readReferrers(source, image, signal) : []
  const trees = allPlatforms ? [image, ...referrers] : referrers
  const transferred = await storeTrees(source, store, trees, options)
  await nameReferrers(target, referrers, lease)
  return transferred
}
