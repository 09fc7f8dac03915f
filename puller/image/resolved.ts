import { chainId } from '#oci/chain-id.ts'
import type { Descriptor } from '#oci/descriptor.ts'
import { stackContents } from '../store/contents.ts'
import { exists } from '../store/files.ts'
import { hasLayer, isBlobOf } from '../store/layers.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import type { ResolvedImage } from './resolve.ts'

/** Names in a lease all that an image is made of, whether it is there or not. */
export async function keepResolved(lease: Lease, image: ResolvedImage): Promise<void> {
  const { manifest, config, documents } = image
  const blobs = [...documents.map(({ descriptor }) => descriptor), ...manifest.layers]
  await lease.keep({
    ...stackContents(config?.rootfs.diff_ids ?? []),
    blobs: blobs.map(({ digest }) => digest),
  })
}

/**
 * Whether all of a kept image is there, unpacked, and its blobs are known to unpack to that: then what would bring the rest needn't
 * even be loaded.
 */
export async function isReady(store: Store, { manifest, config }: ResolvedImage): Promise<boolean> {
  const { layout } = store
  const diffIds = config?.rootfs.diff_ids ?? []
  const isProven = ({ digest }: Descriptor, at: number) => {
    const diffId = diffIds[at]
    return diffId === undefined || isBlobOf(layout, diffId, digest)
  }
  if (!manifest.layers.every(isProven)) return false
  const chain = chainId(diffIds)
  const found = await Promise.all([
    ...manifest.layers.map((layer) => store.has(layer)),
    ...diffIds.map((diffId) => hasLayer(layout, diffId)),
    chain === undefined || exists(layout.fixup(chain)),
  ])
  return found.every(Boolean)
}
