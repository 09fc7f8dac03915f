import type { Descriptor } from '#oci/descriptor.ts'
import { readManifest } from '../store/blobs.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'

/**
 * Leases the blobs of an image of the store, manifest by manifest from the outside in.
 *
 * @throws LAYOUT_INVALID when it is gone; CONTENT_MISMATCH, MANIFEST_INVALID
 */
export async function keepImage(store: Store, lease: Lease, descriptor: Descriptor): Promise<void> {
  await lease.keep({ blobs: [descriptor.digest] })
  const manifest = await readManifest(store, descriptor)
  if (manifest.kind === 'image') {
    const blobs = [manifest.config, ...manifest.layers]
    await lease.keep({ blobs: blobs.map(({ digest }) => digest) })
    return
  }
  await lease.keep({ blobs: manifest.manifests.map(({ digest }) => digest) })
  for (const child of manifest.manifests) {
    if (await store.has(child)) await keepImage(store, lease, child)
  }
}
