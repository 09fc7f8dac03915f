import type { Descriptor } from '#oci/descriptor.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import { walkImage } from './walk.ts'

/**
 * Leases the blobs of an image of the store, manifest by manifest from the outside in: what a manifest names is looked for
 * only after it was leased.
 *
 * @throws LAYOUT_INVALID when it is gone; CONTENT_MISMATCH, MANIFEST_INVALID
 */
export async function keepImage(store: Store, lease: Lease, descriptor: Descriptor): Promise<void> {
  await lease.keep({ blobs: [descriptor.digest] })
  for await (const { manifest } of walkImage(store, descriptor)) {
    const named =
      manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : manifest.manifests
    await lease.keep({ blobs: named.map(({ digest }) => digest) })
  }
}
