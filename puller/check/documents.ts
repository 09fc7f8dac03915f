import type { Descriptor } from '#oci/descriptor.ts'
import type { Digest } from '#oci/digest.ts'
import { errorMessage, isDrayError } from '#oci/error.ts'
import { type ImageConfig, parseImageConfig } from '#oci/image-config.ts'
import { type ImageManifest, parseManifest } from '#oci/manifest.ts'
import { isImageConfigType } from '#oci/media-types.ts'
import { exists } from '../store/files.ts'
import type { Lease } from '../store/lease.ts'
import type { NamedImage } from '../store/image-index.ts'
import type { Store } from '../store/store.ts'

/** A blob that an image needs. */
export interface NeededBlob {
  readonly descriptor: Descriptor
  readonly image: NamedImage
  /** The manifest that names it, or itself, which can be asked for by its digest. */
  readonly manifest: Digest
}

/** A manifest whose layers can be looked at. */
export interface CheckableManifest {
  readonly image: NamedImage
  readonly manifest: ImageManifest
  readonly config: ImageConfig
}

/** What the images of a store need of it, as far as their documents can be read. */
export interface Inventory {
  readonly blobs: ReadonlyMap<Digest, NeededBlob>
  readonly manifests: readonly CheckableManifest[]
  /** Documents that can't be read, with the reason. */
  readonly damaged: ReadonlyMap<Digest, string>
}

/** Reads all documents of all images, and leases what they name. */
export async function takeInventory(store: Store, lease: Lease): Promise<Inventory> {
  const inventory = {
    blobs: new Map<Digest, NeededBlob>(),
    manifests: [] as CheckableManifest[],
    damaged: new Map<Digest, string>(),
  }
  const named = (image: NamedImage) => (image.name === undefined ? 1 : 0)
  const images = (await store.images()).toSorted((a, b) => named(a) - named(b))
  for (const image of images) {
    const need = async (descriptor: Descriptor, manifest: Digest) => {
      await lease.keep({ blobs: [descriptor.digest] })
      if (inventory.blobs.has(descriptor.digest)) return false
      inventory.blobs.set(descriptor.digest, { descriptor, image, manifest })
      return true
    }
    const read = async <T>(descriptor: Descriptor, parse: (bytes: Buffer) => T) => {
      try {
        return parse(await store.readSmall(descriptor))
      } catch (error) {
        if (!isDrayError(error)) throw error
        // Of one with other bytes, or none, it is told as of any other blob.
        if (isDrayError(error, 'CONTENT_MISMATCH', 'LAYOUT_INVALID')) return undefined
        inventory.damaged.set(descriptor.digest, errorMessage(error))
        return undefined
      }
    }
    const visit = async (descriptor: Descriptor): Promise<void> => {
      if (!(await need(descriptor, descriptor.digest))) return
      const manifest = await read(descriptor, (bytes) => parseManifest(bytes, descriptor.mediaType))
      if (manifest?.kind === 'index') {
        for (const child of manifest.manifests)
          if (await exists(store.pathOf(child))) await visit(child)
      }
      if (manifest?.kind !== 'image') return
      for (const blob of [manifest.config, ...manifest.layers]) await need(blob, descriptor.digest)
      if (!isImageConfigType(manifest.config.mediaType)) return
      const config = await read(manifest.config, parseImageConfig)
      if (config !== undefined) inventory.manifests.push({ image, manifest, config })
    }
    await visit(image.descriptor)
  }
  return inventory
}
