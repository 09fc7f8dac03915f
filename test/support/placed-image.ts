import { type Digest, parseDigest } from '#oci/digest.ts'
import type { Store } from '#puller/index.ts'
import type { SmallImage } from './small-image.ts'

/** Digests of an image's blobs, its manifest's included. */
export function digestsOf({ blobs }: SmallImage): Digest[] {
  return [...blobs.keys()].map(parseDigest)
}

/** Puts an image into a store, not unpacked, under a name. */
export async function placeImage(
  store: Store,
  name: string | undefined,
  { blobs, manifest }: SmallImage,
): Promise<void> {
  for (const [digest, bytes] of blobs) await store.writeSmall(parseDigest(digest), bytes)
  await store.name({ name, descriptor: manifest })
}
