import { type Descriptor, describe } from '#oci/descriptor.ts'
import type { ExecutionConfig, ImageConfig } from '#oci/image-config.ts'
import { MEDIA_TYPE } from '#oci/media-types.ts'
import type { Platform } from '#oci/platform.ts'
import type { Lease } from '../store/lease.ts'
import type { Store } from '../store/store.ts'
import type { Document } from './resolve.ts'
import type { WrittenLayer } from './write-layer.ts'

/** Makes the config of an image out of its layers. Absent fields are left out, so that equal input gives equal bytes. */
export function composeConfig(options: {
  readonly platform: Platform
  readonly execution: ExecutionConfig
  readonly layers: readonly WrittenLayer[]
  readonly createdBy: string
  /** RFC 3339. */
  readonly created?: string | undefined
}): Document {
  const { platform, execution, layers, createdBy, created } = options
  const config: ImageConfig = {
    created,
    architecture: platform.architecture,
    os: platform.os,
    variant: platform.variant,
    config: execution,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created, created_by: createdBy })),
  }
  return document(MEDIA_TYPE.ociConfig, config)
}

/** Makes an OCI manifest. */
export function composeManifest(config: Descriptor, layers: readonly Descriptor[]): Document {
  const mediaType = MEDIA_TYPE.ociManifest
  return document(mediaType, { schemaVersion: 2, mediaType, config, layers })
}

/** Puts an image of layers that are there into the store, and names it. The lease keeps it until it has the name. */
export async function storeComposed(
  store: Store,
  lease: Lease,
  image: {
    readonly name: string
    readonly config: Document
    readonly layers: readonly Descriptor[]
  },
): Promise<Descriptor> {
  const { name, config } = image
  const manifest = composeManifest(config.descriptor, image.layers)
  await lease.keep({ blobs: [config.descriptor.digest, manifest.descriptor.digest] })
  for (const { descriptor, bytes } of [config, manifest])
    await store.writeSmall(descriptor.digest, bytes)
  await store.name({ name, descriptor: manifest.descriptor })
  return manifest.descriptor
}

/** A JSON document of an image. */
export function document(mediaType: string, value: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(value))
  return { descriptor: describe(mediaType, bytes), bytes }
}
